-- A merge of rows takes a third less time.
--
-- The time of a retry is added in UTC: the sum of a timestamptz and an interval depends on the session's time zone to
-- PostgreSQL, which then calls the function for each row (3 µs) and does not inline it. The result is the same.

CREATE OR REPLACE FUNCTION recipient_next_attempt_at(
    status text, attempt smallint, scheduled_send_date timestamptz, created_at timestamptz,
    deferred_attempt smallint, deferred_until timestamptz, expired_attempt smallint, expired_until timestamptz,
    retry_attempt smallint, failed_attempts bigint, held_back_attempts bigint,
    failed_at timestamptz, failure_class text, failure_backoff_s integer, max_retries smallint
) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE status
        WHEN 'pending' THEN scheduled_send_date
        WHEN 'queued' THEN CASE
            WHEN attempt = deferred_attempt THEN deferred_until
            WHEN attempt = expired_attempt THEN expired_until
        END
        WHEN 'unknown' THEN CASE WHEN attempt = retry_attempt AND attempt < 62 THEN created_at END
        WHEN 'failed' THEN CASE
            WHEN attempt >= 62 THEN NULL
            WHEN attempt = retry_attempt THEN created_at
            WHEN bit_count((failed_attempts & ~held_back_attempts)::bit(64)) >= max_retries THEN NULL
            WHEN failure_class = 'backoff' OR failure_class = 'held_back' AND bit_count(held_back_attempts::bit(64)) < 3
                THEN (failed_at AT TIME ZONE 'UTC' + failure_backoff_s * interval '1 second') AT TIME ZONE 'UTC'
        END
    END
$$;

-- The triggers of the counters read the changed rows once, and add up their few groups. Before, they read them four times.

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
                           next_attempt_at IS NOT NULL AS is_due,
                           CASE status WHEN 'failed' THEN failure_counter_key(failure_code, failure_text)
                                       WHEN 'skipped' THEN skip_counter_key(skip_reason) END AS reason,
                           sum(sign) AS n
                    FROM (%2$s) AS changed GROUP BY 1, 2, 3, 4, 5, 6, 7, 8)
                SELECT campaign_id, dimension, key, n
                FROM (
                    SELECT campaign_id,
                           sum(n) AS total,
                           sum(n) FILTER (WHERE is_sent) AS sent,
                           sum(n) FILTER (WHERE is_delivered) AS delivered,
                           sum(n) FILTER (WHERE is_read) AS read,
                           sum(n) FILTER (WHERE is_replied) AS replied,
                           sum(n) FILTER (WHERE status IN ('failed', 'unknown') AND is_due) AS retrying,
                           sum(n) FILTER (WHERE is_due) AS due
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
                FROM grouped WHERE reason IS NOT NULL GROUP BY 1, 2, 3 HAVING sum(n) <> 0;
                RETURN NULL;
            END $body$ $create$, source.verb, source.rows);
    END LOOP;
END $do$;
