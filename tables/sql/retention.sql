-- Statements that delete old rows. Each reads a chunk of one table in the order of its key, from the place where the last
-- chunk ended, so that it reads no entry of an index twice in a pass, deleted or not. It deletes the rows of the chunk that
-- nothing needs any more, skips those that are locked, and records how many it deleted.
-- Columns: the number of deleted rows, the number of rows in the chunk, and the key of its last row.

-- name: prune_ledger
-- Delete the attempts of recipients that are finished, all or none of a recipient: each attempt is published for so many
-- days and its outcome is in the row, the row waits for nothing, and its outcome is known. A job of such an attempt that
-- comes again finds no queued row, so that it cannot be claimed.
WITH chunk AS MATERIALIZED (
    SELECT recipient_id, attempt FROM send_ledger
    WHERE (recipient_id, attempt) > (%(after_recipient)s::uuid, %(after_attempt)s::smallint)
    ORDER BY recipient_id, attempt LIMIT %(limit)s
), finished AS MATERIALIZED (
    SELECT r.id FROM (SELECT DISTINCT recipient_id FROM chunk) AS c JOIN campaign_recipients AS r ON r.id = c.recipient_id
    WHERE r.next_attempt_at IS NULL AND r.status NOT IN ('pending', 'queued', 'unknown')
      AND NOT EXISTS (SELECT FROM releases AS rel WHERE rel.recipient_id = r.id)
      AND NOT EXISTS (
          SELECT FROM send_ledger AS l WHERE l.recipient_id = r.id
            AND (l.published_at < now() - %(days)s * interval '1 day' AND CASE l.outcome
                WHEN 'accepted' THEN r.accepted_attempts & (1::bigint << l.attempt::integer) <> 0
                WHEN 'rejected' THEN r.failed_attempts & (1::bigint << l.attempt::integer) <> 0
                WHEN 'unknown' THEN coalesce(r.unknown_attempt, 0) >= l.attempt
                WHEN 'deferred' THEN coalesce(r.deferred_attempt, 0) >= l.attempt
                WHEN 'expired' THEN coalesce(r.expired_attempt, 0) >= l.attempt
                ELSE coalesce(r.skipped_attempt, 0) >= l.attempt END) IS NOT TRUE)
), locked AS MATERIALIZED (
    SELECT recipient_id, attempt FROM send_ledger WHERE recipient_id = ANY (ARRAY(SELECT id FROM finished))
    FOR UPDATE SKIP LOCKED
), deleted AS (
    DELETE FROM send_ledger AS l USING locked WHERE l.recipient_id = locked.recipient_id AND l.attempt = locked.attempt
    RETURNING l.published_at
), recorded AS (
    INSERT INTO pruned_rows AS p (table_name, n, newest_at)
    SELECT 'send_ledger', count(*), max(published_at) FROM deleted HAVING count(*) > 0
    ON CONFLICT (table_name) DO UPDATE SET n = p.n + excluded.n, newest_at = greatest(p.newest_at, excluded.newest_at),
        pruned_at = clock_timestamp()
)
SELECT (SELECT count(*) FROM deleted), count(*) OVER (), recipient_id, attempt
FROM chunk ORDER BY recipient_id DESC, attempt DESC LIMIT 1

-- name: prune_messages
-- Delete messages that were first seen so many days ago and whose facts are in the row. The key of the wamid stays. Facts
-- older than the campaign were refused, so no row has them. Messages of a double send stay.
WITH chunk AS MATERIALIZED (
    SELECT * FROM messages
    WHERE recipient_id IS NOT NULL
      AND (recipient_id, attempt) > (%(after_recipient)s::uuid, %(after_attempt)s::smallint)
    ORDER BY recipient_id, attempt LIMIT %(limit)s
), finished AS MATERIALIZED (
    SELECT m.wamid FROM chunk AS m
    JOIN campaign_recipients AS r ON r.id = m.recipient_id JOIN marketing_campaigns AS c ON c.id = r.campaign_id
    WHERE m.first_seen_at < now() - %(days)s * interval '1 day'
      AND NOT EXISTS (SELECT FROM double_sends AS d WHERE d.recipient_id = m.recipient_id AND d.attempt = m.attempt)
      AND (least(m.accepted_at, m.replied_at, m.failed_at) < c.created_at - interval '1 day' OR (
          m.sent_at < coalesce(r.sent_at, 'infinity') OR m.delivered_at < coalesce(r.delivered_at, 'infinity')
          OR m.read_at < coalesce(r.read_at, 'infinity') OR m.replied_at < coalesce(r.replied_at, 'infinity')
          OR (m.failed_at IS NOT NULL AND r.failed_attempts & (1::bigint << m.attempt::integer) = 0)
          OR (m.accepted_at IS NOT NULL AND r.accepted_attempts & (1::bigint << m.attempt::integer) = 0)) IS NOT TRUE)
), locked AS MATERIALIZED (
    SELECT wamid FROM messages WHERE wamid = ANY (ARRAY(SELECT wamid FROM finished)) FOR UPDATE SKIP LOCKED
), deleted AS (
    DELETE FROM messages AS m USING locked WHERE m.wamid = locked.wamid
    RETURNING m.wamid, m.recipient_id, m.attempt, m.first_seen_at
), kept AS (
    INSERT INTO old_messages (wamid_key, recipient_id, attempt)
    SELECT wamid_key(wamid), recipient_id, attempt FROM deleted
    ON CONFLICT DO NOTHING RETURNING wamid_key
), recorded AS (
    INSERT INTO pruned_rows AS p (table_name, n, newest_at)
    SELECT 'messages', (SELECT count(*) FROM kept), max(first_seen_at) FROM deleted HAVING count(*) > 0
    ON CONFLICT (table_name) DO UPDATE SET n = p.n + excluded.n, newest_at = greatest(p.newest_at, excluded.newest_at),
        pruned_at = clock_timestamp()
)
SELECT (SELECT count(*) FROM deleted), count(*) OVER (), recipient_id, attempt
FROM chunk ORDER BY recipient_id DESC, attempt DESC LIMIT 1

-- name: prune_subscription_outbox
-- Delete published changes of subscriptions.
WITH chunk AS MATERIALIZED (
    SELECT id, published_at FROM subscription_outbox WHERE id > %(after_id)s ORDER BY id LIMIT %(limit)s
), locked AS MATERIALIZED (
    SELECT id FROM subscription_outbox
    WHERE id = ANY (ARRAY(SELECT id FROM chunk WHERE published_at < now() - %(days)s * interval '1 day'))
    FOR UPDATE SKIP LOCKED
), deleted AS (
    DELETE FROM subscription_outbox AS o USING locked WHERE o.id = locked.id RETURNING o.published_at
), recorded AS (
    INSERT INTO pruned_rows AS p (table_name, n, newest_at)
    SELECT 'subscription_outbox', count(*), max(published_at) FROM deleted HAVING count(*) > 0
    ON CONFLICT (table_name) DO UPDATE SET n = p.n + excluded.n, newest_at = greatest(p.newest_at, excluded.newest_at),
        pruned_at = clock_timestamp()
)
SELECT (SELECT count(*) FROM deleted), count(*) OVER (), id FROM chunk ORDER BY id DESC LIMIT 1

-- name: prune_budgets
-- Delete the budgets of past days. Nothing reads them: a late answer that gives budget back changes a present day at most.
WITH chunk AS MATERIALIZED (
    SELECT campaign_id, day FROM campaign_days WHERE (campaign_id, day) > (%(after_campaign)s::uuid, %(after_day)s::date)
    ORDER BY campaign_id, day LIMIT %(limit)s
), locked AS MATERIALIZED (
    SELECT d.campaign_id, d.day FROM chunk JOIN campaign_days AS d USING (campaign_id, day)
    WHERE d.day < (now() - (%(days)s + 1) * interval '1 day')::date FOR UPDATE OF d SKIP LOCKED
), deleted AS (
    DELETE FROM campaign_days AS d USING locked WHERE d.campaign_id = locked.campaign_id AND d.day = locked.day
    RETURNING d.day
), recorded AS (
    INSERT INTO pruned_rows AS p (table_name, n, newest_at)
    SELECT 'campaign_days', count(*), max(day) FROM deleted HAVING count(*) > 0
    ON CONFLICT (table_name) DO UPDATE SET n = p.n + excluded.n, newest_at = greatest(p.newest_at, excluded.newest_at),
        pruned_at = clock_timestamp()
)
SELECT (SELECT count(*) FROM deleted), count(*) OVER (), campaign_id, day
FROM chunk ORDER BY campaign_id DESC, day DESC LIMIT 1

-- name: prune_timeline
-- Delete published minutes of timelines. No check reads them, and a change that is counted now has the present minute.
WITH chunk AS MATERIALIZED (
    SELECT campaign_id, minute FROM campaign_timeline
    WHERE (campaign_id, minute) > (%(after_campaign)s::uuid, %(after_minute)s::timestamptz)
    ORDER BY campaign_id, minute LIMIT %(limit)s
), locked AS MATERIALIZED (
    SELECT t.campaign_id, t.minute FROM chunk JOIN campaign_timeline AS t USING (campaign_id, minute)
    WHERE t.minute < now() - %(days)s * interval '1 day' AND t.version = t.published_version
    FOR UPDATE OF t SKIP LOCKED
), deleted AS (
    DELETE FROM campaign_timeline AS t USING locked WHERE t.campaign_id = locked.campaign_id AND t.minute = locked.minute
)
SELECT (SELECT count(*) FROM locked), count(*) OVER (), campaign_id, minute
FROM chunk ORDER BY campaign_id DESC, minute DESC LIMIT 1

-- name: prune_dead_letter_acts
-- Delete the acts on dead letters that their topics no longer contain.
WITH chunk AS MATERIALIZED (
    SELECT topic_id, topic_partition, topic_offset, topic, acted_at FROM dead_letter_acts
    WHERE (topic_id, topic_partition, topic_offset) > (%(after_topic)s, %(after_partition)s, %(after_offset)s::bigint)
    ORDER BY topic_id, topic_partition, topic_offset LIMIT %(limit)s
), locked AS MATERIALIZED (
    SELECT a.topic_id, a.topic_partition, a.topic_offset
    FROM chunk JOIN dead_letter_acts AS a USING (topic_id, topic_partition, topic_offset)
    WHERE a.acted_at < now() - %(days)s * interval '1 day' AND a.topic <> ALL (%(unlimited)s::text[])
    FOR UPDATE OF a SKIP LOCKED
), deleted AS (
    DELETE FROM dead_letter_acts AS a USING locked AS l
    WHERE a.topic_id = l.topic_id AND a.topic_partition = l.topic_partition AND a.topic_offset = l.topic_offset
    RETURNING a.acted_at
), recorded AS (
    INSERT INTO pruned_rows AS p (table_name, n, newest_at)
    SELECT 'dead_letter_acts', count(*), max(acted_at) FROM deleted HAVING count(*) > 0
    ON CONFLICT (table_name) DO UPDATE SET n = p.n + excluded.n, newest_at = greatest(p.newest_at, excluded.newest_at),
        pruned_at = clock_timestamp()
)
SELECT (SELECT count(*) FROM deleted), count(*) OVER (), topic_id, topic_partition, topic_offset
FROM chunk ORDER BY topic_id DESC, topic_partition DESC, topic_offset DESC LIMIT 1

-- name: prune_idempotency_keys
-- Delete the responses of old keys.
WITH chunk AS MATERIALIZED (
    SELECT key, created_at FROM idempotency_keys WHERE key > %(after_key)s ORDER BY key LIMIT %(limit)s
), locked AS MATERIALIZED (
    SELECT key FROM idempotency_keys
    WHERE key = ANY (ARRAY(SELECT key FROM chunk WHERE created_at < now() - %(days)s * interval '1 day'))
    FOR UPDATE SKIP LOCKED
), deleted AS (
    DELETE FROM idempotency_keys AS i USING locked WHERE i.key = locked.key
)
SELECT (SELECT count(*) FROM locked), count(*) OVER (), key FROM chunk ORDER BY key DESC LIMIT 1

-- name: prune_person_attempts
-- Delete the attempts of people that are too old for every frequency cap.
WITH chunk AS MATERIALIZED (
    SELECT person, released_at, recipient_id, attempt FROM person_attempts
    WHERE (person, released_at, recipient_id, attempt)
        > (%(after_person)s, %(after_at)s::timestamptz, %(after_recipient)s::uuid, %(after_attempt)s::smallint)
    ORDER BY person, released_at, recipient_id, attempt LIMIT %(limit)s
), deleted AS (
    DELETE FROM person_attempts AS a USING chunk AS c
    WHERE c.released_at < now() - %(days)s * interval '1 day'
      AND a.person = c.person AND a.released_at = c.released_at AND a.recipient_id = c.recipient_id AND a.attempt = c.attempt
    RETURNING a.attempt
)
SELECT (SELECT count(*) FROM deleted), count(*) OVER (), person, released_at, recipient_id, attempt
FROM chunk ORDER BY person DESC, released_at DESC, recipient_id DESC, attempt DESC LIMIT 1
