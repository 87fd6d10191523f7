-- Counter keys come from closed sets: a code, a reason code of ours, or 'unknown'. Before, the text of a failure without
-- a code was its key. Such a key can be too long for an index, and it shows personal data in a public topic.
-- A snapshot that Kafka cannot take is recorded, and folding no longer compares all campaigns.

CREATE FUNCTION failure_counter_key(failure_code integer, failure_text text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN failure_code BETWEEN 0 AND 9999999 THEN failure_code::text
        WHEN failure_code IS NULL AND failure_text IN ('attempts_exhausted', 'invalid_template_parameters')
            THEN failure_text
        ELSE 'unknown'
    END
$$;
CREATE FUNCTION skip_counter_key(skip_reason text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN skip_reason IN ('opted_out', 'campaign_cancelled', 'template_parameters_invalid') THEN skip_reason
        ELSE 'unknown'
    END
$$;

-- Writers of rows and the stats publisher wait, so that nothing is counted under an old key after the recount below.
LOCK TABLE campaign_recipients IN SHARE ROW EXCLUSIVE MODE;
LOCK TABLE campaign_counter_deltas IN SHARE ROW EXCLUSIVE MODE;

DO $do$
DECLARE
    source record;
BEGIN
    FOR source IN
        SELECT * FROM (VALUES
            ('insert', 'SELECT 1 AS sign, * FROM new_rows'),
            ('update', 'SELECT 1 AS sign, * FROM new_rows UNION ALL SELECT -1, * FROM old_rows'),
            ('delete', 'SELECT -1 AS sign, * FROM old_rows')) AS s (verb, rows)
    LOOP
        EXECUTE format($create$
            CREATE OR REPLACE FUNCTION count_recipients_%1$s() RETURNS trigger LANGUAGE plpgsql AS $body$
            BEGIN
                INSERT INTO campaign_counter_deltas (campaign_id, dimension, key, n)
                WITH changed AS (%2$s)
                SELECT campaign_id, dimension, key, n
                FROM (
                    SELECT campaign_id,
                           sum(sign) AS total,
                           sum(sign) FILTER (WHERE sent_at IS NOT NULL) AS sent,
                           sum(sign) FILTER (WHERE delivered_at IS NOT NULL) AS delivered,
                           sum(sign) FILTER (WHERE read_at IS NOT NULL) AS read,
                           sum(sign) FILTER (WHERE replied_at IS NOT NULL) AS replied,
                           sum(sign) FILTER (WHERE status IN ('failed', 'unknown') AND next_attempt_at IS NOT NULL)
                               AS retrying
                    FROM changed GROUP BY campaign_id) AS sums
                CROSS JOIN LATERAL (VALUES
                    ('funnel', 'total', total), ('funnel', 'sent', sent), ('funnel', 'delivered', delivered),
                    ('funnel', 'read', read), ('funnel', 'replied', replied), ('funnel', 'retrying', retrying)
                ) AS keyed (dimension, key, n)
                WHERE n <> 0
                UNION ALL
                SELECT campaign_id, 'status', status, sum(sign) FROM changed
                GROUP BY campaign_id, status HAVING sum(sign) <> 0
                UNION ALL
                SELECT campaign_id, 'failure', failure_counter_key(failure_code, failure_text), sum(sign)
                FROM changed WHERE status = 'failed' GROUP BY 1, 3 HAVING sum(sign) <> 0
                UNION ALL
                SELECT campaign_id, 'skip', skip_counter_key(skip_reason), sum(sign) FROM changed
                WHERE status = 'skipped' GROUP BY 1, 3 HAVING sum(sign) <> 0;
                RETURN NULL;
            END $body$ $create$, source.verb, source.rows);
    END LOOP;
END $do$;

-- The failures and skips are counted again from the rows: an old key does not show whether it was a code or a text.
CREATE TEMPORARY TABLE counted_again ON COMMIT DROP AS
SELECT DISTINCT campaign_id FROM campaign_counters WHERE dimension IN ('failure', 'skip')
UNION SELECT campaign_id FROM campaign_counter_deltas WHERE dimension IN ('failure', 'skip');
DELETE FROM campaign_counters WHERE dimension IN ('failure', 'skip');
DELETE FROM campaign_counter_deltas WHERE dimension IN ('failure', 'skip');
INSERT INTO campaign_counters (campaign_id, dimension, key, n)
SELECT campaign_id, 'failure', failure_counter_key(failure_code, failure_text), count(*)
FROM campaign_recipients WHERE status = 'failed' GROUP BY 1, 3
UNION ALL
SELECT campaign_id, 'skip', skip_counter_key(skip_reason), count(*)
FROM campaign_recipients WHERE status = 'skipped' GROUP BY 1, 3;

ALTER TABLE campaign_stats ADD COLUMN refused_version bigint NOT NULL DEFAULT 0;
CREATE INDEX campaign_stats_unpublished ON campaign_stats (folded_at)
    WHERE version > greatest(published_version, refused_version);
COMMENT ON COLUMN campaign_stats.refused_version IS
    'The last version that Kafka cannot take, because it is too large; a later version is tried again';

CREATE FUNCTION notice_campaign() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO campaign_counter_deltas (campaign_id, dimension, key, n) VALUES (NEW.id, 'funnel', 'total', 0);
    RETURN NULL;
END $$;
CREATE TRIGGER marketing_campaigns_noticed AFTER INSERT ON marketing_campaigns
    FOR EACH ROW EXECUTE FUNCTION notice_campaign();
CREATE TRIGGER marketing_campaigns_noticed_again AFTER UPDATE ON marketing_campaigns FOR EACH ROW
    WHEN ((NEW.name, NEW.status) IS DISTINCT FROM (OLD.name, OLD.status)) EXECUTE FUNCTION notice_campaign();

-- A new version of each: the next snapshot replaces the one with the old keys.
INSERT INTO campaign_counter_deltas (campaign_id, dimension, key, n)
SELECT campaign_id, 'funnel', 'total', 0 FROM counted_again
UNION SELECT c.id, 'funnel', 'total', 0 FROM marketing_campaigns AS c
LEFT JOIN campaign_stats AS s ON s.campaign_id = c.id WHERE s.campaign_status IS DISTINCT FROM c.status;
