-- Statements of replay, of the audit from the topic, and of rebuild. They work on shadow tables, in a schema of their own
-- that comes first on the search path, so that the sink's statements write there. {live} is the schema of the live
-- tables. {facts} are the columns with facts ({..._facts} by table, {..._rest} without the attempt), {..._shown} are the
-- facts and the generated columns, and {swap} assigns the facts.

-- name: create_shadow
-- Empty tables like the live ones, without counter triggers, and the two functions that compare rows of messages.
CREATE SCHEMA {shadow};
CREATE UNLOGGED TABLE {shadow}.campaign_recipients (
    LIKE {live}.campaign_recipients INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING CONSTRAINTS, PRIMARY KEY (id));
CREATE UNLOGGED TABLE {shadow}.recipients_before (LIKE {live}.campaign_recipients, PRIMARY KEY (id));
CREATE UNLOGGED TABLE {shadow}.messages (
    LIKE {live}.messages INCLUDING DEFAULTS INCLUDING CONSTRAINTS, PRIMARY KEY (wamid));
CREATE INDEX ON {shadow}.messages (recipient_id, attempt) WHERE recipient_id IS NOT NULL;
CREATE UNLOGGED TABLE {shadow}.double_sends (
    LIKE {live}.double_sends INCLUDING DEFAULTS, PRIMARY KEY (recipient_id, attempt, wamid));
CREATE UNLOGGED TABLE {shadow}.foreign_statuses (LIKE {live}.foreign_statuses, PRIMARY KEY (day, phone_number_id));
CREATE UNLOGGED TABLE {shadow}.rows_changed (
    recipient_id uuid PRIMARY KEY, status_before text NOT NULL, status_after text NOT NULL, columns text[] NOT NULL);
DO $do$
DECLARE
    f record;
BEGIN
    FOR f IN SELECT proname, prosrc FROM pg_proc
             WHERE pronamespace = {live_name}::regnamespace AND proname IN ('message_fails', 'message_is_priced') LOOP
        EXECUTE format('CREATE FUNCTION %I.%I(n %1$I.messages, k %1$I.messages) RETURNS boolean LANGUAGE sql IMMUTABLE AS %3$L',
                       {shadow_name}, f.proname, f.prosrc);
    END LOOP;
END $do$

-- name: lock_name
-- Lock the name of a schema until the end of the session, so that no other process drops it as left behind.
SELECT pg_try_advisory_lock(hashtextextended(%(name)s, 0))

-- name: unlock_name
-- Unlock the name of a schema.
SELECT pg_advisory_unlock(hashtextextended(%(name)s, 0))

-- name: list_shadows
-- The shadow schemas in this database.
SELECT nspname FROM pg_namespace WHERE nspname ~ '^campaigns_side_[0-9a-f]+$'

-- name: allow_joins
-- Permit all join methods until the end of the transaction. The sink's session settings are for its merge only.
SELECT set_config('enable_hashjoin', 'on', true), set_config('enable_mergejoin', 'on', true), set_config('enable_seqscan', 'on', true)

-- name: copy_messages
-- Copy the live messages of these wamids that are missing here, and return their recipients.
WITH copied AS (
    INSERT INTO messages SELECT * FROM {live}.messages WHERE wamid = ANY(%(wamids)s::text[])
    ON CONFLICT DO NOTHING RETURNING recipient_id)
SELECT DISTINCT recipient_id FROM copied WHERE recipient_id IS NOT NULL

-- name: copy_rows
-- Copy these live rows that are missing here, once to change them and once to keep them as they were.
WITH seen AS MATERIALIZED (
    SELECT * FROM {live}.campaign_recipients AS l
    WHERE id = ANY(%(ids)s::uuid[]) AND NOT EXISTS (SELECT FROM recipients_before AS b WHERE b.id = l.id)),
before AS (INSERT INTO recipients_before SELECT * FROM seen)
INSERT INTO campaign_recipients (
    id, campaign_id, phone_number, scheduled_send_date, max_retries, created_at, updated_at, {facts})
SELECT id, campaign_id, phone_number, scheduled_send_date, max_retries, created_at, updated_at, {facts} FROM seen

-- name: add_bare_rows
-- Add these live rows that are missing here, without facts.
INSERT INTO campaign_recipients (id, campaign_id, phone_number, scheduled_send_date, max_retries, created_at, updated_at)
SELECT id, campaign_id, phone_number, scheduled_send_date, max_retries, created_at, updated_at
FROM {live}.campaign_recipients WHERE id = ANY(%(ids)s::uuid[])
ON CONFLICT DO NOTHING

-- name: find_campaigns
-- The campaigns of those of these recipients that have a row. The campaign in an event is not authoritative.
SELECT id, campaign_id FROM {live}.campaign_recipients WHERE id = ANY(%(ids)s::uuid[])

-- name: find_campaign
-- Whether a campaign exists.
SELECT EXISTS (SELECT FROM {live}.marketing_campaigns WHERE id = %(campaign)s)

-- name: add_missing_rows
-- Add, without facts, every live row that has facts and is missing here. A fact written by hand may have no attempt.
INSERT INTO campaign_recipients (id, campaign_id, phone_number, scheduled_send_date, max_retries, created_at, updated_at)
SELECT id, campaign_id, phone_number, scheduled_send_date, max_retries, created_at, updated_at
FROM {live}.campaign_recipients AS l
WHERE (%(campaign)s::uuid IS NULL OR campaign_id = %(campaign)s)
  AND (attempt > 0 OR accepted_attempts <> 0 OR failed_attempts <> 0 OR held_back_attempts <> 0 OR held_for_quality
       OR num_nonnulls({may_be_null}) > 0)
  AND NOT EXISTS (SELECT FROM campaign_recipients AS r WHERE r.id = l.id)

-- name: find_known_messages
-- Those of these wamids that are parked here and have a recipient in the live table.
SELECT m.wamid, l.recipient_id, l.attempt FROM messages AS m JOIN {live}.messages AS l USING (wamid)
WHERE m.recipient_id IS NULL AND l.recipient_id IS NOT NULL AND m.wamid = ANY(%(wamids)s::text[])
ORDER BY m.wamid

-- name: find_claimants
-- The campaigns of these wamids after the whole range was applied. NULL: the recipient is still unknown.
SELECT m.wamid, r.campaign_id FROM messages AS m LEFT JOIN campaign_recipients AS r ON r.id = m.recipient_id
WHERE m.wamid = ANY(%(wamids)s::text[])

-- name: count_changes
-- How many rows would change, and how many of them would become due in a campaign that may still send.
SELECT count(*), count(*) FILTER (WHERE c.status IN ('active', 'paused', 'completed')
    AND r.next_attempt_at < coalesce(b.next_attempt_at, 'infinity'))
FROM recipients_before AS b JOIN campaign_recipients AS r USING (id)
JOIN {live}.marketing_campaigns AS c ON c.id = r.campaign_id
WHERE (%(campaign)s::uuid IS NULL OR r.campaign_id = %(campaign)s) AND ({b_facts}) IS DISTINCT FROM ({r_facts})

-- name: find_changes
-- Rows that would change, with the campaign's status, the row before and the row after. Rows that would become due come
-- first.
SELECT r.id, r.campaign_id, c.status, {b_shown}, {r_shown}
FROM recipients_before AS b JOIN campaign_recipients AS r USING (id)
JOIN {live}.marketing_campaigns AS c ON c.id = r.campaign_id
WHERE (%(campaign)s::uuid IS NULL OR r.campaign_id = %(campaign)s) AND ({b_facts}) IS DISTINCT FROM ({r_facts})
ORDER BY coalesce(r.next_attempt_at < coalesce(b.next_attempt_at, 'infinity'), false) DESC, r.id LIMIT %(rows_max)s

-- name: note_changes
-- Record the rows that a transaction of a replay has changed; returns how many were not changed before.
WITH noted AS (
    INSERT INTO rows_changed AS k (recipient_id, status_before, status_after, columns)
    SELECT u.id, u.before, u.after, string_to_array(u.columns, ',')
    FROM unnest(%(ids)s::uuid[], %(befores)s::text[], %(afters)s::text[], %(columns)s::text[])
        AS u (id, before, after, columns)
    ON CONFLICT (recipient_id) DO UPDATE SET
        status_after = excluded.status_after, columns = k.columns || excluded.columns
    RETURNING xmax = 0 AS is_new)
SELECT count(*) FILTER (WHERE is_new) FROM noted

-- name: sum_statuses
-- The number of rows by status before and after.
SELECT status_before, status_after, count(*) FROM rows_changed
WHERE status_before <> status_after GROUP BY 1, 2 ORDER BY 3 DESC

-- name: sum_columns
-- The number of changed rows by column.
SELECT name, count(DISTINCT recipient_id) FROM rows_changed CROSS JOIN LATERAL unnest(columns) AS name
GROUP BY name ORDER BY 2 DESC, 1

-- name: read_shown
-- These rows, with the status of their campaign.
SELECT r.id, r.campaign_id, c.status, {r_shown}
FROM campaign_recipients AS r JOIN marketing_campaigns AS c ON c.id = r.campaign_id WHERE r.id = ANY(%(ids)s::uuid[])

-- name: read_written
-- The recipients with these ids or wamids that this transaction has changed.
SELECT r.id, r.campaign_id, c.status, {r_shown}
FROM campaign_recipients AS r JOIN marketing_campaigns AS c ON c.id = r.campaign_id
WHERE r.xmin = pg_current_xact_id()::xid AND r.id = ANY(
    %(ids)s::uuid[] || ARRAY(SELECT recipient_id FROM messages WHERE wamid = ANY(%(wamids)s::text[])))

-- name: is_released
-- A condition for other statements: an attempt that is ahead of the topic has a release or a ledger row. If an earlier
-- attempt has reached the person since, the release is already deleted.
(EXISTS (SELECT FROM releases AS o WHERE o.recipient_id = l.id AND o.attempt = l.attempt)
 OR EXISTS (SELECT FROM send_ledger AS o WHERE o.recipient_id = l.id AND o.attempt = l.attempt)
 OR (l.attempt = coalesce(r.attempt, 0) + 1 AND l.status IN ('sent', 'delivered', 'read')))

-- name: count_judged
-- The number of live rows, and of those that differ from the topic only by a higher attempt (a release, or a claim
-- without an outcome).
SELECT count(*), count(*) FILTER (WHERE l.attempt > coalesce(r.attempt, 0)
    AND ({live_rest}) IS NOT DISTINCT FROM ({r_rest}) AND {is_released})
FROM {live}.campaign_recipients AS l LEFT JOIN campaign_recipients AS r USING (id)
WHERE %(campaign)s::uuid IS NULL OR l.campaign_id = %(campaign)s

-- name: find_differences
-- Rows that differ from the topic: the time of the first claim, the live row, the row from the topic (with the live
-- attempt where it may be ahead), and the ledger's events that the topic does not contain yet.
SELECT l.id, l.campaign_id, c.status, c.created_at,
       (SELECT min(s.claimed_at) FROM send_ledger AS s WHERE s.recipient_id = l.id), {live_shown}, {r_raised},
       ARRAY(SELECT s.event FROM send_ledger AS s WHERE s.recipient_id = l.id AND s.event IS NOT NULL
             AND (s.published_at IS NULL OR s.published_at > %(until)s))
FROM {live}.campaign_recipients AS l JOIN campaign_recipients AS r USING (id)
JOIN marketing_campaigns AS c ON c.id = l.campaign_id
CROSS JOIN LATERAL (SELECT CASE WHEN l.attempt > r.attempt AND (%(is_any_ahead)s OR {is_released})
                                THEN l.attempt ELSE r.attempt END AS attempt) AS raised
CROSS JOIN LATERAL recipient_status(
    raised.attempt, r.accepted_attempts, r.failed_attempts, r.delivered_at, r.read_at,
    r.deferred_attempt, r.expired_attempt, r.unknown_attempt, r.skipped_attempt) AS meant
CROSS JOIN LATERAL recipient_next_attempt_at(
    meant, raised.attempt, r.scheduled_send_date, r.created_at, r.deferred_attempt, r.deferred_until, r.expired_attempt,
    r.expired_until, r.retry_attempt, r.failed_attempts, r.held_back_attempts, r.failed_at, r.failure_class,
    r.failure_backoff_s, r.max_retries) AS meant_at
WHERE l.id > %(after)s AND l.id <= %(last)s AND (%(ids)s::uuid[] IS NULL OR l.id = ANY(%(ids)s::uuid[]))
  AND (%(campaign)s::uuid IS NULL OR l.campaign_id = %(campaign)s)
  AND (l.attempt <> raised.attempt OR ({live_rest}) IS DISTINCT FROM ({r_rest}))
ORDER BY l.id LIMIT %(rows_max)s

-- name: find_wamids
-- The messages of these recipients.
SELECT wamid, recipient_id FROM messages WHERE recipient_id = ANY(%(ids)s::uuid[])

-- name: hold_campaign
-- Read a campaign's status and lock it against changes until the end of the transaction.
SELECT status FROM {live}.marketing_campaigns WHERE id = %(campaign)s FOR SHARE

-- name: hold_rows
-- Lock live rows, in the order of ids that all statements use.
SELECT id FROM {live}.campaign_recipients WHERE id = ANY(%(ids)s::uuid[]) ORDER BY id FOR NO KEY UPDATE

-- name: swap_rows
-- Write the facts of the shadow tables into locked live rows. The attempt never decreases.
UPDATE {live}.campaign_recipients AS l SET {swap}, attempt = greatest(l.attempt, r.attempt)
FROM campaign_recipients AS r WHERE r.id = l.id AND l.id = ANY(%(ids)s::uuid[])

-- name: read_live
-- Live rows, with the status of their campaign.
SELECT l.id, l.campaign_id, c.status, {live_shown}
FROM {live}.campaign_recipients AS l JOIN marketing_campaigns AS c ON c.id = l.campaign_id WHERE l.id = ANY(%(ids)s::uuid[])

-- name: read_current_schema
-- The schema of the live tables.
SELECT current_schema()

-- name: see_shadow_first
-- Unqualified table names now mean the shadow tables.
SET search_path TO {shadow}, {live}

-- name: drop_shadow
-- Drop a shadow schema and its tables.
DROP SCHEMA IF EXISTS {shadow} CASCADE
