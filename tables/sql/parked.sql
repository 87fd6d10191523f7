-- Statements of statuses that belong to other systems: parked rows of messages, and foreign_statuses.

-- name: find_our_numbers
-- Those of these phone number ids that belong to a campaign.
SELECT DISTINCT phone_number_id FROM marketing_campaigns WHERE phone_number_id = ANY(%(numbers)s::text[])

-- name: count_foreign
-- Count statuses of other systems, by day and number.
INSERT INTO foreign_statuses AS known (day, phone_number_id, n)
SELECT (now() AT TIME ZONE 'UTC')::date, number, n
FROM unnest(%(numbers)s::text[], %(counts)s::bigint[]) AS counted (number, n) ORDER BY number
ON CONFLICT (day, phone_number_id) DO UPDATE SET n = known.n + excluded.n

-- name: forget_parked
-- Count, then delete, the statuses parked for longer than the limit: they belong to another system on our number. Only
-- the session that gets the lock does so. A row that another transaction has locked is skipped.
WITH leader AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(%(lock)s) AS mine),
expired AS (
    SELECT wamid FROM messages
    WHERE recipient_id IS NULL AND first_seen_at < clock_timestamp() - %(age_s)s * interval '1 second'
      AND (SELECT mine FROM leader)
    ORDER BY first_seen_at LIMIT %(rows_max)s FOR UPDATE SKIP LOCKED),
deleted AS (
    DELETE FROM messages AS m WHERE m.wamid = ANY (ARRAY(SELECT wamid FROM expired)) AND m.recipient_id IS NULL
    RETURNING (m.first_seen_at AT TIME ZONE 'UTC')::date AS day, coalesce(m.phone_number_id, '') AS number),
counted AS (
    INSERT INTO foreign_statuses AS known (day, phone_number_id, n)
    SELECT day, number, count(*) FROM deleted GROUP BY day, number ORDER BY day, number
    ON CONFLICT (day, phone_number_id) DO UPDATE SET n = known.n + excluded.n)
SELECT count(*) FROM deleted

-- name: find_parked
-- Parked statuses, the oldest first, and their number.
SELECT wamid, phone_number_id, first_seen_at, sent_at, delivered_at, read_at, failed_at, replied_at, count(*) OVER ()
FROM messages WHERE recipient_id IS NULL ORDER BY first_seen_at LIMIT %(limit)s

-- name: read_foreign
-- Per number: the statuses of other systems, and the last day with one.
SELECT phone_number_id, sum(n)::bigint, max(day) FROM foreign_statuses GROUP BY phone_number_id ORDER BY phone_number_id
