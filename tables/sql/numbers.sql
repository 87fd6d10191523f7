-- Statements of our numbers, and of what Meta reports about them. The rule is in domain/number_reports.py.

-- name: list_used
-- The numbers of the campaigns that are not over.
SELECT DISTINCT phone_number_id FROM marketing_campaigns WHERE status IN ('draft', 'active', 'paused')
ORDER BY phone_number_id LIMIT %(limit)s

-- name: write_read
-- Store what Meta shows of a number.
INSERT INTO business_numbers (phone_number_id, digits, quality, throughput, state, read_at)
VALUES (%(number)s, %(digits)s, %(quality)s, %(throughput)s, %(state)s, clock_timestamp())
ON CONFLICT (phone_number_id) DO UPDATE SET
    digits = coalesce(excluded.digits, business_numbers.digits), quality = excluded.quality,
    throughput = excluded.throughput, state = excluded.state, read_at = excluded.read_at

-- name: note_reports
-- Store the latest report about each number. Returns those that are about no number of ours.
WITH reported AS MATERIALIZED (
    SELECT DISTINCT ON (number) number, reason, at
    FROM unnest(%(numbers)s::text[], %(reasons)s::text[], %(times)s::timestamptz[]) AS u (number, reason, at)
    WHERE number <> '' ORDER BY number, at DESC, reason
), noted AS (
    INSERT INTO number_reports (number, reason, reported_at) SELECT number, reason, at FROM reported ORDER BY number
    ON CONFLICT (number) DO UPDATE SET reason = excluded.reason, reported_at = excluded.reported_at
    WHERE number_reports.reported_at < excluded.reported_at
    RETURNING number, reason
)
SELECT number, reason FROM noted
WHERE NOT EXISTS (
          SELECT FROM business_numbers AS n WHERE is_meant(noted.number, n.phone_number_id, n.digits))
  AND NOT EXISTS (
          SELECT FROM marketing_campaigns AS c LEFT JOIN business_numbers AS n ON n.phone_number_id = c.phone_number_id
          WHERE c.status IN ('active', 'paused') AND is_meant(noted.number, c.phone_number_id, n.digits))

-- name: read_numbers
-- Numbers as Meta shows them, with the last report about each and its messages of the last 24 hours. `ids`: those of the
-- settings; the numbers of campaigns that are not over, and those that were read, come too.
WITH wanted AS MATERIALIZED (
    SELECT unnest(%(ids)s::text[]) AS id
    UNION SELECT phone_number_id FROM business_numbers
    UNION SELECT phone_number_id FROM marketing_campaigns WHERE status IN ('draft', 'active', 'paused')
), sent AS MATERIALIZED (
    SELECT c.phone_number_id, sum(t.sent) AS messages
    FROM marketing_campaigns AS c JOIN campaign_timeline AS t ON t.campaign_id = c.id
    WHERE c.updated_at > now() - interval '31 days' AND c.status <> 'draft' AND t.minute > now() - interval '24 hours'
    GROUP BY c.phone_number_id
)
SELECT w.id, n.digits, n.quality, n.throughput, n.state, n.read_at, r.reason, r.reported_at, coalesce(s.messages, 0)::bigint
FROM wanted AS w
LEFT JOIN business_numbers AS n ON n.phone_number_id = w.id
LEFT JOIN sent AS s ON s.phone_number_id = w.id
LEFT JOIN LATERAL (
    SELECT reason, reported_at FROM number_reports
    WHERE number IN (w.id, '+' || n.digits) ORDER BY reported_at DESC LIMIT 1) AS r ON true
ORDER BY w.id LIMIT %(limit)s

-- name: read_foreign
-- The last reports about numbers that are none of those that were read, the latest first.
SELECT r.number, r.reason, r.reported_at FROM number_reports AS r
WHERE NOT EXISTS (SELECT FROM business_numbers AS n WHERE r.number IN (n.phone_number_id, '+' || n.digits))
  AND NOT EXISTS (SELECT FROM marketing_campaigns AS c WHERE c.phone_number_id = r.number)
ORDER BY r.reported_at DESC LIMIT %(limit)s
