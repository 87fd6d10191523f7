-- Statements that create and fill shadow tables. The tables are in a schema that comes first on the search path, so a
-- table name without a schema means a shadow table. tables/shadow_template.py describes the words in braces.

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
CREATE UNLOGGED TABLE {shadow}.person_links (LIKE {live}.person_links, PRIMARY KEY (person, linked_to));
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

-- name: read_current_schema
-- The schema of the live tables.
SELECT current_schema()

-- name: see_shadow_first
-- Unqualified table names now mean the shadow tables.
SET search_path TO {shadow}, {live}

-- name: drop_shadow
-- Drop a shadow schema and its tables.
DROP SCHEMA IF EXISTS {shadow} CASCADE

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
    id, campaign_id, phone_number, user_id, scheduled_send_date, max_retries, created_at, updated_at, {facts})
SELECT id, campaign_id, phone_number, user_id, scheduled_send_date, max_retries, created_at, updated_at, {facts} FROM seen

-- name: add_bare_rows
-- Add these live rows that are missing here, without facts.
INSERT INTO campaign_recipients (
    id, campaign_id, phone_number, user_id, scheduled_send_date, max_retries, created_at, updated_at)
SELECT id, campaign_id, phone_number, user_id, scheduled_send_date, max_retries, created_at, updated_at
FROM {live}.campaign_recipients WHERE id = ANY(%(ids)s::uuid[])
ON CONFLICT DO NOTHING

-- name: add_missing_rows
-- Add, without facts, every live row that has facts and is missing here. A fact written by hand may have no attempt.
INSERT INTO campaign_recipients (
    id, campaign_id, phone_number, user_id, scheduled_send_date, max_retries, created_at, updated_at)
SELECT id, campaign_id, phone_number, user_id, scheduled_send_date, max_retries, created_at, updated_at
FROM {live}.campaign_recipients AS l
WHERE (%(campaign)s::uuid IS NULL OR campaign_id = %(campaign)s)
  AND (attempt > 0 OR accepted_attempts <> 0 OR failed_attempts <> 0 OR held_back_attempts <> 0 OR held_for_quality
       OR num_nonnulls({may_be_null}) > 0)
  AND NOT EXISTS (SELECT FROM campaign_recipients AS r WHERE r.id = l.id)

-- name: find_campaigns
-- The campaigns of those of these recipients that have a row. The campaign in an event is not authoritative.
SELECT id, campaign_id FROM {live}.campaign_recipients WHERE id = ANY(%(ids)s::uuid[])

-- name: find_campaign
-- Whether a campaign exists.
SELECT EXISTS (SELECT FROM {live}.marketing_campaigns WHERE id = %(campaign)s)

-- name: find_known_messages
-- Those of these wamids that are parked here and have a recipient in the live table.
SELECT m.wamid, l.recipient_id, l.attempt FROM messages AS m JOIN {live}.messages AS l USING (wamid)
WHERE m.recipient_id IS NULL AND l.recipient_id IS NOT NULL AND m.wamid = ANY(%(wamids)s::text[])
ORDER BY m.wamid

-- name: find_claimants
-- The campaigns of these wamids after the whole range was applied. NULL: the recipient is still unknown.
SELECT m.wamid, r.campaign_id FROM messages AS m LEFT JOIN campaign_recipients AS r ON r.id = m.recipient_id
WHERE m.wamid = ANY(%(wamids)s::text[])

-- name: find_wamids
-- The messages of these recipients.
SELECT wamid, recipient_id FROM messages WHERE recipient_id = ANY(%(ids)s::uuid[])
