-- A row that is added takes a tenth less of Postgres. The same numbers are accepted, and the counters are the same.

-- A pattern with the count of digits takes three times as long as this one.
ALTER TABLE campaign_recipients
    DROP CONSTRAINT campaign_recipients_phone_number_check,
    ADD CONSTRAINT campaign_recipients_phone_number_check
        CHECK (phone_number ~ '^[1-9][0-9]*$' AND length(phone_number) BETWEEN 7 AND 15);

-- Rows of an import are all new: they are pending, nothing is known of them, and none is due. They are counted without
-- the statement for all rows.
DO $do$
DECLARE
    source record;
BEGIN
    FOR source IN
        SELECT * FROM (VALUES
            ('insert', 'SELECT 1 AS sign, * FROM new_rows', $new$
                IF NOT EXISTS (SELECT FROM new_rows WHERE status <> 'pending' OR next_attempt_at IS NOT NULL
                               OR sent_at IS NOT NULL OR replied_at IS NOT NULL) THEN
                    INSERT INTO campaign_counter_deltas (campaign_id, dimension, key, n)
                    SELECT campaign_id, dimension, key, n
                    FROM (SELECT campaign_id, count(*) AS n FROM new_rows GROUP BY campaign_id) AS counted
                    CROSS JOIN (VALUES ('funnel', 'total'), ('status', 'pending')) AS keyed (dimension, key);
                    RETURN NULL;
                END IF;$new$)) AS s (verb, rows, sooner)
    LOOP
        EXECUTE format($create$
            CREATE OR REPLACE FUNCTION count_recipients_%1$s() RETURNS trigger LANGUAGE plpgsql AS $body$
            BEGIN%3$s
                INSERT INTO campaign_counter_deltas (campaign_id, dimension, key, n)
                WITH grouped AS MATERIALIZED (
                    SELECT campaign_id, status, sent_at IS NOT NULL AS is_sent, delivered_at IS NOT NULL AS is_delivered,
                           read_at IS NOT NULL AS is_read, replied_at IS NOT NULL AS is_replied,
                           wait_counter_key(status, next_attempt_at, attempt, deferred_attempt, capped_until,
                                            retry_attempt, failure_class) AS wait, window_country,
                           CASE status WHEN 'failed' THEN failure_counter_key(failure_code, failure_text)
                                       WHEN 'skipped' THEN skip_counter_key(skip_reason) END AS reason,
                           CASE WHEN delivered_at IS NOT NULL THEN price END AS price,
                           CASE WHEN delivered_at IS NOT NULL AND price IS NOT NULL
                               THEN left(person, CASE WHEN left(person, 1) = 'u' THEN 8 ELSE 4 END) END AS head,
                           sum(sign) AS n
                    FROM (%2$s) AS changed GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
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
                WHERE window_country IS NOT NULL AND wait NOT IN ('backoff', 'held_back', 'frequency_cap')
                GROUP BY campaign_id, window_country HAVING sum(n) <> 0
                UNION ALL
                SELECT campaign_id, 'price', price_counter_key(price) || '/' || prefix_of(head), sum(n) FROM grouped
                WHERE price IS NOT NULL GROUP BY 1, 2, 3 HAVING sum(n) <> 0;
                RETURN NULL;
            END $body$ $create$, source.verb, source.rows, source.sooner);
    END LOOP;
END $do$;
