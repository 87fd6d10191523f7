-- Statements of replay, of the audit from the topic, and of rebuild. They work beside the live tables, in a schema of their own that comes
-- first on the search path: the sink's own statements then write there. {live} is where the live tables are, {facts} the columns that
-- hold facts ({..._facts} by table, {..._rest} without the attempt), {..._shown} those and what they mean, {swap} their assignment.

-- name: create_shadow
-- Tables as the live ones, empty, without counters; and the two functions that compare messages, for their type.
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
-- Hold the name of a schema for as long as this session lives, so that nobody takes it for one that was left behind.
SELECT pg_try_advisory_lock(hashtextextended(%(name)s, 0))

-- name: unlock_name
-- Give such a name back.
SELECT pg_advisory_unlock(hashtextextended(%(name)s, 0))

-- name: list_shadows
-- Schemas of this kind.
SELECT nspname FROM pg_namespace WHERE nspname ~ '^campaigns_side_[0-9a-f]+$'

-- name: allow_joins
-- Until the end of the transaction, plan freely: the sink's session settings are for its own statement.
SELECT set_config('enable_hashjoin', 'on', true), set_config('enable_mergejoin', 'on', true), set_config('enable_seqscan', 'on', true)

-- name: copy_messages
-- Copy the live messages of these wamids that are not here yet; whose they are.
WITH copied AS (
    INSERT INTO messages SELECT * FROM {live}.messages WHERE wamid = ANY(%(wamids)s::text[])
    ON CONFLICT DO NOTHING RETURNING recipient_id)
SELECT DISTINCT recipient_id FROM copied WHERE recipient_id IS NOT NULL

-- name: copy_rows
-- Copy these live rows that are not here yet, once to be changed and once as they are.
WITH seen AS MATERIALIZED (
    SELECT * FROM {live}.campaign_recipients AS l
    WHERE id = ANY(%(ids)s::uuid[]) AND NOT EXISTS (SELECT FROM recipients_before AS b WHERE b.id = l.id)),
before AS (INSERT INTO recipients_before SELECT * FROM seen)
INSERT INTO campaign_recipients (
    id, campaign_id, phone_number, scheduled_send_date, max_retries, created_at, updated_at, {facts})
SELECT id, campaign_id, phone_number, scheduled_send_date, max_retries, created_at, updated_at, {facts} FROM seen

-- name: add_bare_rows
-- Add these live rows that are not here yet, without any fact.
INSERT INTO campaign_recipients (id, campaign_id, phone_number, scheduled_send_date, max_retries, created_at, updated_at)
SELECT id, campaign_id, phone_number, scheduled_send_date, max_retries, created_at, updated_at
FROM {live}.campaign_recipients WHERE id = ANY(%(ids)s::uuid[])
ON CONFLICT DO NOTHING

-- name: find_campaigns
-- Of these recipients those that have a row, and whose campaign it is: what an event says of its campaign binds nobody.
SELECT id, campaign_id FROM {live}.campaign_recipients WHERE id = ANY(%(ids)s::uuid[])

-- name: find_campaign
-- Whether there is such a campaign.
SELECT EXISTS (SELECT FROM {live}.marketing_campaigns WHERE id = %(campaign)s)

-- name: add_missing_rows
-- Add, without any fact, every live row that has facts and is not here. Somebody may have stated one by hand without an attempt.
INSERT INTO campaign_recipients (id, campaign_id, phone_number, scheduled_send_date, max_retries, created_at, updated_at)
SELECT id, campaign_id, phone_number, scheduled_send_date, max_retries, created_at, updated_at
FROM {live}.campaign_recipients AS l
WHERE (%(campaign)s::uuid IS NULL OR campaign_id = %(campaign)s)
  AND (attempt > 0 OR accepted_attempts <> 0 OR failed_attempts <> 0 OR held_back_attempts <> 0 OR held_for_quality
       OR num_nonnulls({may_be_null}) > 0)
  AND NOT EXISTS (SELECT FROM campaign_recipients AS r WHERE r.id = l.id)

-- name: find_known_messages
-- Of these wamids those that wait here for their recipient, whom the live table knows.
SELECT m.wamid, l.recipient_id, l.attempt FROM messages AS m JOIN {live}.messages AS l USING (wamid)
WHERE m.recipient_id IS NULL AND l.recipient_id IS NOT NULL AND m.wamid = ANY(%(wamids)s::text[])
ORDER BY m.wamid

-- name: find_claimants
-- Whose these wamids are, after everything of the range: recipient and campaign, NULL where nobody claims one.
SELECT m.wamid, r.campaign_id FROM messages AS m LEFT JOIN campaign_recipients AS r ON r.id = m.recipient_id
WHERE m.wamid = ANY(%(wamids)s::text[])

-- name: count_changes
-- How many rows would change, and how many of them would become due where something may still be sent.
SELECT count(*), count(*) FILTER (WHERE c.status IN ('active', 'paused', 'completed')
    AND r.next_attempt_at < coalesce(b.next_attempt_at, 'infinity'))
FROM recipients_before AS b JOIN campaign_recipients AS r USING (id)
JOIN {live}.marketing_campaigns AS c ON c.id = r.campaign_id
WHERE (%(campaign)s::uuid IS NULL OR r.campaign_id = %(campaign)s) AND ({b_facts}) IS DISTINCT FROM ({r_facts})

-- name: find_changes
-- Rows that would change, those that would become due first: campaign and its status, then each row as it is and as it would be.
SELECT r.id, r.campaign_id, c.status, {b_shown}, {r_shown}
FROM recipients_before AS b JOIN campaign_recipients AS r USING (id)
JOIN {live}.marketing_campaigns AS c ON c.id = r.campaign_id
WHERE (%(campaign)s::uuid IS NULL OR r.campaign_id = %(campaign)s) AND ({b_facts}) IS DISTINCT FROM ({r_facts})
ORDER BY coalesce(r.next_attempt_at < coalesce(b.next_attempt_at, 'infinity'), false) DESC, r.id LIMIT %(rows_max)s

-- name: note_changes
-- Remember what a transaction of a replay has changed; how many rows it changed first.
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
-- How many rows came from which status to which.
SELECT status_before, status_after, count(*) FROM rows_changed
WHERE status_before <> status_after GROUP BY 1, 2 ORDER BY 3 DESC

-- name: sum_columns
-- In how many rows each column changed.
SELECT name, count(DISTINCT recipient_id) FROM rows_changed CROSS JOIN LATERAL unnest(columns) AS name
GROUP BY name ORDER BY 2 DESC, 1

-- name: read_shown
-- These rows as they are, with the status of their campaign.
SELECT r.id, r.campaign_id, c.status, {r_shown}
FROM campaign_recipients AS r JOIN marketing_campaigns AS c ON c.id = r.campaign_id WHERE r.id = ANY(%(ids)s::uuid[])

-- name: read_written
-- Of the recipients of these ids and wamids those that this very transaction has changed.
SELECT r.id, r.campaign_id, c.status, {r_shown}
FROM campaign_recipients AS r JOIN marketing_campaigns AS c ON c.id = r.campaign_id
WHERE r.xmin = pg_current_xact_id()::xid AND r.id = ANY(
    %(ids)s::uuid[] || ARRAY(SELECT recipient_id FROM messages WHERE wamid = ANY(%(wamids)s::text[])))

-- name: is_released
-- Part of statements: an attempt that is ahead of the topic has a release or a row in the ledger. Of a person who was reached after all,
-- by an earlier attempt, the release that nobody needs any more is deleted.
(EXISTS (SELECT FROM releases AS o WHERE o.recipient_id = l.id AND o.attempt = l.attempt)
 OR EXISTS (SELECT FROM send_ledger AS o WHERE o.recipient_id = l.id AND o.attempt = l.attempt)
 OR (l.attempt = coalesce(r.attempt, 0) + 1 AND l.status IN ('sent', 'delivered', 'read')))

-- name: count_judged
-- How many live rows there are, and of how many only the attempt is ahead of the topic: a release, or one that nobody answered.
SELECT count(*), count(*) FILTER (WHERE l.attempt > coalesce(r.attempt, 0)
    AND ({live_rest}) IS NOT DISTINCT FROM ({r_rest}) AND {is_released})
FROM {live}.campaign_recipients AS l LEFT JOIN campaign_recipients AS r USING (id)
WHERE %(campaign)s::uuid IS NULL OR l.campaign_id = %(campaign)s

-- name: find_differences
-- Rows that say something else than the topic: when they were first claimed, as they are, as the topic says (with the attempt of the row,
-- where that may be ahead), and what of the ledger the topic does not hold yet.
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
-- The status of a campaign, which nobody can change until the end of the transaction.
SELECT status FROM {live}.marketing_campaigns WHERE id = %(campaign)s FOR SHARE

-- name: hold_rows
-- Hold live rows, in the order in which everybody does.
SELECT id FROM {live}.campaign_recipients WHERE id = ANY(%(ids)s::uuid[]) ORDER BY id FOR NO KEY UPDATE

-- name: swap_rows
-- Put the facts of the side tables into live rows that are held. An attempt is never lowered.
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
