-- An import inserts more than twice as many recipients a second. Rows and counters are the same.

-- A prefix depends on the first four digits, or on the country of a user id, so it is computed once for many rows.
CREATE OR REPLACE FUNCTION count_prefixes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO campaign_counter_deltas (campaign_id, dimension, key, n)
    SELECT campaign_id, 'prefix', prefix_of(start), CASE TG_OP WHEN 'INSERT' THEN sum(n) ELSE -sum(n) END
    FROM (SELECT campaign_id, CASE WHEN starts_with(person, 'user:') THEN left(person, 8) ELSE left(person, 4) END AS start,
                 count(*) AS n
          FROM changed_rows GROUP BY 1, 2) AS starts
    GROUP BY 1, 3;
    RETURN NULL;
END $$;

-- Nobody adds a recipient or deletes a campaign between the foreign key and the triggers.
LOCK TABLE marketing_campaigns, campaign_recipients IN SHARE ROW EXCLUSIVE MODE;
ALTER TABLE campaign_recipients DROP CONSTRAINT campaign_recipients_campaign_id_fkey;

-- A recipient belongs to a campaign that exists, and a campaign with recipients stays. A foreign key says the same, but it
-- looks for the campaign of each row, which took a quarter of an import. These triggers look once for each campaign of a
-- statement. They lock and refuse as a foreign key does.
CREATE FUNCTION require_campaigns() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    missing uuid;
BEGIN
    WITH named AS MATERIALIZED (SELECT DISTINCT campaign_id FROM new_rows),
    kept AS MATERIALIZED (
        SELECT id FROM marketing_campaigns WHERE id IN (SELECT campaign_id FROM named) ORDER BY id FOR KEY SHARE)
    SELECT campaign_id INTO missing FROM named WHERE campaign_id NOT IN (SELECT id FROM kept) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the campaign % of a recipient does not exist', missing USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION require_campaign() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM marketing_campaigns WHERE id = NEW.campaign_id FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the campaign % of a recipient does not exist', NEW.campaign_id
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER campaign_recipients_campaign AFTER INSERT ON campaign_recipients
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION require_campaigns();
CREATE TRIGGER campaign_recipients_campaign_again AFTER UPDATE OF campaign_id ON campaign_recipients FOR EACH ROW
    WHEN (OLD.campaign_id IS DISTINCT FROM NEW.campaign_id) EXECUTE FUNCTION require_campaign();

-- The recipients that another transaction has just added are seen in READ COMMITTED only.
CREATE FUNCTION keep_campaign() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'a campaign can be deleted in the isolation level READ COMMITTED only'
            USING ERRCODE = 'feature_not_supported';
    END IF;
    IF EXISTS (SELECT FROM campaign_recipients WHERE campaign_id = OLD.id) THEN
        RAISE EXCEPTION 'the campaign % has recipients', OLD.id USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER marketing_campaigns_kept AFTER DELETE ON marketing_campaigns FOR EACH ROW
    EXECUTE FUNCTION keep_campaign();
CREATE TRIGGER marketing_campaigns_kept_as_named AFTER UPDATE OF id ON marketing_campaigns FOR EACH ROW
    WHEN (OLD.id IS DISTINCT FROM NEW.id) EXECUTE FUNCTION keep_campaign();

CREATE TRIGGER marketing_campaigns_no_truncate BEFORE TRUNCATE ON marketing_campaigns
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();
