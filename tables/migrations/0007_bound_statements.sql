-- What the hot statements need so that each of them reads a bounded number of rows: the state of a plan and its counts
-- per day, the counter of due recipients, and indexes.

ALTER TABLE marketing_campaigns ADD COLUMN planning boolean NOT NULL DEFAULT false;
CREATE INDEX marketing_campaigns_status ON marketing_campaigns (status, id);
CREATE INDEX marketing_campaigns_planning ON marketing_campaigns (id) WHERE planning;
COMMENT ON COLUMN marketing_campaigns.planning IS 'Recipients without a planned time wait for the scheduler';

ALTER TABLE campaign_days ADD COLUMN planned integer NOT NULL DEFAULT 0 CHECK (planned >= 0);
COMMENT ON COLUMN campaign_days.planned IS 'Recipients that were planned for this day when it was a later day';

-- Recipients without a planned time: those of a draft, and those that the scheduler still has to plan.
CREATE INDEX campaign_recipients_unplanned ON campaign_recipients (campaign_id, id)
    WHERE attempt = 0 AND scheduled_send_date IS NULL;
-- For lists by status. The facts in these conditions change only with the event that makes the status.
CREATE INDEX campaign_recipients_failed ON campaign_recipients (campaign_id, id) WHERE failed_attempts <> 0;
CREATE INDEX campaign_recipients_skipped ON campaign_recipients (campaign_id, id) WHERE skipped_attempt IS NOT NULL;
CREATE INDEX campaign_recipients_unknown ON campaign_recipients (campaign_id, id) WHERE unknown_attempt IS NOT NULL;

-- For the completion of campaigns, and for `trace`.
CREATE INDEX send_ledger_unknown ON send_ledger (campaign_id, outcome_at) WHERE outcome = 'unknown';
CREATE INDEX send_ledger_wamid ON send_ledger (wamid) WHERE wamid IS NOT NULL;
CREATE INDEX releases_number ON releases (phone_number_id);

-- The writers of rows wait, so that no change is missing in the counts below.
LOCK TABLE campaign_recipients IN SHARE ROW EXCLUSIVE MODE;

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
                               AS retrying,
                           sum(sign) FILTER (WHERE next_attempt_at IS NOT NULL) AS due
                    FROM changed GROUP BY campaign_id) AS sums
                CROSS JOIN LATERAL (VALUES
                    ('funnel', 'total', total), ('funnel', 'sent', sent), ('funnel', 'delivered', delivered),
                    ('funnel', 'read', read), ('funnel', 'replied', replied), ('funnel', 'retrying', retrying),
                    ('funnel', 'due', due)
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

INSERT INTO campaign_counters (campaign_id, dimension, key, n)
SELECT campaign_id, 'funnel', 'due', count(*) FROM campaign_recipients WHERE next_attempt_at IS NOT NULL GROUP BY 1;

-- A campaign with a time zone that Postgres does not know gets no counts: it is paused before it sends.
INSERT INTO campaign_days AS d (campaign_id, day, planned)
SELECT r.campaign_id, (r.next_attempt_at AT TIME ZONE c.time_zone)::date, count(*)
FROM marketing_campaigns AS c JOIN campaign_recipients AS r ON r.campaign_id = c.id
WHERE c.daily_send_limit IS NOT NULL AND c.time_zone IN (SELECT name FROM pg_timezone_names)
  AND r.attempt = 0 AND r.next_attempt_at > now()
GROUP BY 1, 2
ON CONFLICT (campaign_id, day) DO UPDATE SET planned = excluded.planned;
