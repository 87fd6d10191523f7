-- The price of each recipient is a fact, and counters of the campaign have the delivered ones by category, charge and
-- country. Prices that are known already are taken over: that rewrites the rows of delivered messages.

ALTER TABLE campaign_recipients ADD COLUMN price text COLLATE "C";
ALTER TABLE messages ADD COLUMN price text COLLATE "C";
COMMENT ON COLUMN campaign_recipients.price IS
    'A fact: attempt, category and charge of the newest attempt that has a price, such as `01 marketing/billable`';
COMMENT ON COLUMN messages.price IS 'The price of parked statuses, as the fact of a recipient';

-- The key of a price without its attempt: category and charge. Only words of domain/prices.py become keys.
CREATE FUNCTION price_counter_key(price text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN substr(price, 4) COLLATE "C" ~ ('^(authentication|authentication-international|marketing|marketing_lite|'
                'referral_conversion|service|utility|other)/(billable|free|free_customer_service|free_entry_point)$')
            THEN substr(price, 4)
        ELSE 'other/billable'
    END
$$;

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
            END $body$ $create$, source.verb, source.rows);
    END LOOP;
END $do$;

-- As price_of in domain/prices.py.
CREATE FUNCTION pg_temp.price_of(attempt smallint, pricing_type text, category text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT to_char(attempt, 'FM00') || ' '
        || CASE WHEN category IN ('authentication', 'authentication-international', 'marketing', 'marketing_lite',
                                  'referral_conversion', 'service', 'utility') THEN category ELSE 'other' END
        || '/' || CASE WHEN pricing_type IN ('free', 'free_customer_service', 'free_entry_point')
                       THEN pricing_type ELSE 'billable' END
$$;
UPDATE messages SET price = pg_temp.price_of(1::smallint, pricing_type, pricing_category)
WHERE recipient_id IS NULL AND pricing_category IS NOT NULL;
UPDATE campaign_recipients AS r SET price = known.price
FROM (SELECT recipient_id, max(pg_temp.price_of(attempt, pricing_type, pricing_category) COLLATE "C") AS price
      FROM messages WHERE recipient_id IS NOT NULL AND pricing_category IS NOT NULL GROUP BY recipient_id) AS known
WHERE r.id = known.recipient_id;

CREATE VIEW report_prices AS
SELECT campaign_id, split_part(key, '/', 1) AS category, split_part(key, '/', 2) AS charge,
       split_part(key, '/', 3) AS prefix, n AS messages
FROM report_counters WHERE dimension = 'price';
COMMENT ON VIEW report_prices IS
    'Delivered messages by category and charge, as WhatsApp reports them, and by the country code of the number';
