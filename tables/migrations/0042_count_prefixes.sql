-- Counters of the countries of recipients, for the plan and the cost of a campaign.

-- The prefix by which a recipient is counted; domain/dialling.py is the same function.
CREATE FUNCTION prefix_of(person text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN left(person, 5) = 'user:'
            THEN CASE WHEN substr(person, 6, 3) COLLATE "C" ~ '^[A-Z]{2}\.$' THEN substr(person, 6, 2) ELSE 'unknown' END
        WHEN left(person, 4) COLLATE "C" !~ '^[1-9][0-9]{3}$' THEN 'unknown'
        WHEN left(person, 1) = '1' THEN CASE WHEN left(person, 4) IN (
            '1242', '1246', '1264', '1268', '1284', '1340', '1345', '1441', '1473', '1649', '1658', '1664', '1670',
            '1671', '1684', '1721', '1758', '1767', '1784', '1787', '1809', '1829', '1849', '1868',
            '1869', '1876', '1939')
            THEN left(person, 4) ELSE '1' END
        WHEN left(person, 1) = '7' THEN CASE WHEN left(person, 2) IN ('76', '77') THEN left(person, 2) ELSE '7' END
        WHEN left(person, 2) IN (
            '20', '27', '30', '31', '32', '33', '34', '36', '39', '40', '41', '43', '44', '45', '46', '47', '48',
            '49', '51', '52', '53', '54', '55', '56', '57', '58', '60', '61', '62', '63', '64', '65',
            '66', '81', '82', '84', '86', '90', '91', '92', '93', '94', '95', '98')
            THEN left(person, 2)
        ELSE left(person, 3)
    END
$$;

-- Writers of rows wait, so that nothing is counted twice or left out by the count below.
LOCK TABLE campaign_recipients IN SHARE ROW EXCLUSIVE MODE;

-- The recipients of a campaign by prefix. The prefix of a row changes only if somebody writes another number or user id,
-- so a merge never pays for this counter.
CREATE FUNCTION count_prefixes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO campaign_counter_deltas (campaign_id, dimension, key, n)
    SELECT campaign_id, 'prefix', prefix_of(person), CASE TG_OP WHEN 'INSERT' THEN count(*) ELSE -count(*) END
    FROM changed_rows GROUP BY 1, 3;
    RETURN NULL;
END $$;
CREATE FUNCTION count_prefix_again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO campaign_counter_deltas (campaign_id, dimension, key, n) VALUES
        (OLD.campaign_id, 'prefix', prefix_of(OLD.person), -1), (NEW.campaign_id, 'prefix', prefix_of(NEW.person), 1);
    RETURN NULL;
END $$;
CREATE TRIGGER campaign_recipients_prefix_insert AFTER INSERT ON campaign_recipients
    REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION count_prefixes();
CREATE TRIGGER campaign_recipients_prefix_delete AFTER DELETE ON campaign_recipients
    REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION count_prefixes();
CREATE TRIGGER campaign_recipients_prefix_update AFTER UPDATE OF campaign_id, phone_number, user_id ON campaign_recipients
    FOR EACH ROW WHEN ((OLD.campaign_id, OLD.person) IS DISTINCT FROM (NEW.campaign_id, NEW.person))
    EXECUTE FUNCTION count_prefix_again();

INSERT INTO campaign_counters (campaign_id, dimension, key, n)
SELECT campaign_id, 'prefix', prefix_of(person), count(*) FROM campaign_recipients GROUP BY 1, 3;
