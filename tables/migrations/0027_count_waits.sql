-- Counters of why recipients wait, for `campaigns explain`: by the kind of wait, and by the country of the window.

CREATE FUNCTION wait_counter_key(
    status text, next_attempt_at timestamptz, attempt smallint, deferred_attempt smallint, retry_attempt smallint,
    failure_class text
) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN next_attempt_at IS NULL THEN NULL
        WHEN status = 'pending' THEN 'planned'
        WHEN status = 'queued' AND attempt = deferred_attempt THEN 'deferred'
        WHEN status = 'queued' THEN 'expired'
        WHEN status = 'unknown' THEN 'requested_unknown'
        WHEN attempt = retry_attempt THEN 'requested'
        WHEN failure_class = 'held_back' THEN 'held_back'
        ELSE 'backoff'
    END
$$;

-- Writers of rows wait, so that nothing is counted twice or left out by the count below.
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
                WITH grouped AS MATERIALIZED (
                    SELECT campaign_id, status, sent_at IS NOT NULL AS is_sent, delivered_at IS NOT NULL AS is_delivered,
                           read_at IS NOT NULL AS is_read, replied_at IS NOT NULL AS is_replied,
                           wait_counter_key(status, next_attempt_at, attempt, deferred_attempt, retry_attempt,
                                            failure_class) AS wait, window_country,
                           CASE status WHEN 'failed' THEN failure_counter_key(failure_code, failure_text)
                                       WHEN 'skipped' THEN skip_counter_key(skip_reason) END AS reason,
                           sum(sign) AS n
                    FROM (%2$s) AS changed GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9)
                SELECT campaign_id, dimension, key, n
                FROM (
                    SELECT campaign_id,
                           sum(n) AS total,
                           sum(n) FILTER (WHERE is_sent) AS sent,
                           sum(n) FILTER (WHERE is_delivered) AS delivered,
                           sum(n) FILTER (WHERE is_read) AS read,
                           sum(n) FILTER (WHERE is_replied) AS replied,
                           sum(n) FILTER (WHERE status IN ('failed', 'unknown') AND wait IS NOT NULL) AS retrying,
                           sum(n) FILTER (WHERE wait IS NOT NULL) AS due
                    FROM grouped GROUP BY campaign_id) AS sums
                CROSS JOIN LATERAL (VALUES
                    ('funnel', 'total', total), ('funnel', 'sent', sent), ('funnel', 'delivered', delivered),
                    ('funnel', 'read', read), ('funnel', 'replied', replied), ('funnel', 'retrying', retrying),
                    ('funnel', 'due', due)
                ) AS keyed (dimension, key, n)
                WHERE n <> 0
                UNION ALL
                SELECT campaign_id, 'status', status, sum(n) FROM grouped
                GROUP BY campaign_id, status HAVING sum(n) <> 0
                UNION ALL
                SELECT campaign_id, CASE status WHEN 'failed' THEN 'failure' ELSE 'skip' END, reason, sum(n)
                FROM grouped WHERE reason IS NOT NULL GROUP BY 1, 2, 3 HAVING sum(n) <> 0
                UNION ALL
                SELECT campaign_id, 'wait', wait, sum(n) FROM grouped
                WHERE wait IS NOT NULL GROUP BY campaign_id, wait HAVING sum(n) <> 0
                UNION ALL
                SELECT campaign_id, 'window', window_country, sum(n) FROM grouped
                WHERE window_country IS NOT NULL AND wait NOT IN ('backoff', 'held_back')
                GROUP BY campaign_id, window_country HAVING sum(n) <> 0;
                RETURN NULL;
            END $body$ $create$, source.verb, source.rows);
    END LOOP;
END $do$;

INSERT INTO campaign_counters (campaign_id, dimension, key, n)
SELECT campaign_id, 'wait', wait_counter_key(
           status, next_attempt_at, attempt, deferred_attempt, retry_attempt, failure_class), count(*)
FROM campaign_recipients WHERE next_attempt_at IS NOT NULL GROUP BY 1, 3
UNION ALL
SELECT campaign_id, 'window', window_country, count(*) FROM campaign_recipients
WHERE window_country IS NOT NULL AND wait_counter_key(
    status, next_attempt_at, attempt, deferred_attempt, retry_attempt, failure_class)
    IN ('planned', 'deferred', 'expired', 'requested', 'requested_unknown')
GROUP BY 1, 3;
