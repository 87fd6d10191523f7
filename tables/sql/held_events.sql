-- Statements of the events that wait because another session has locked their recipient.

-- name: find_locked
-- The lines whose recipient or whose message another transaction has locked, with the recipient. The free rows are locked
-- until the end of the transaction, messages first and each in order, as the merge locks them.
WITH named AS MATERIALIZED (
    SELECT u.line, u.wamid, coalesce(u.id, m.recipient_id) AS id, m.wamid IS NOT NULL AS has_message
    FROM unnest(%(ids)s::uuid[], %(wamids)s::text[]) WITH ORDINALITY AS u (id, wamid, line)
    LEFT JOIN messages AS m ON m.wamid = u.wamid
), free_messages AS MATERIALIZED (
    SELECT m.wamid FROM messages AS m
    WHERE m.wamid = ANY(ARRAY(SELECT wamid FROM named WHERE has_message))
    ORDER BY m.wamid FOR NO KEY UPDATE SKIP LOCKED
), present AS MATERIALIZED (
    SELECT r.id FROM campaign_recipients AS r
    WHERE r.id = ANY(ARRAY(SELECT DISTINCT id FROM named WHERE id IS NOT NULL))
), free_recipients AS MATERIALIZED (
    SELECT r.id FROM campaign_recipients AS r
    WHERE r.id = ANY(ARRAY(SELECT id FROM present))
    ORDER BY r.id FOR NO KEY UPDATE SKIP LOCKED
)
SELECT line::integer, id FROM named
WHERE (id IN (SELECT id FROM present) AND id NOT IN (SELECT id FROM free_recipients))
   OR (has_message AND wamid NOT IN (SELECT wamid FROM free_messages))
ORDER BY line

-- name: hold
-- Keep records for later.
INSERT INTO held_events (
    recipient_id, topic, topic_partition, topic_offset, key, value, header_names, header_values, written_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)

-- name: is_any
-- Whether anything is held, at any place and under any lock.
SELECT EXISTS (SELECT FROM held_events)

-- name: take
-- The next held records after a place. Another sink may hold some of them: those are left to it.
SELECT id, topic, topic_partition, topic_offset, key, value, header_names, header_values, written_at
FROM held_events WHERE id > %(after)s ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED

-- name: release
-- Forget records that were applied or dead-lettered.
DELETE FROM held_events WHERE id = ANY(%(ids)s::bigint[])

-- name: find_recipients
-- The recipients among these that have held events.
SELECT DISTINCT recipient_id FROM held_events WHERE recipient_id = ANY(%(ids)s::uuid[])
