-- Statements of a replay about the rows that it changes, or would change. tables/shadow_template.py describes the words
-- in braces.

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
