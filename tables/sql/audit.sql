-- Statements of the audit: each check finds rows that must not exist. All run in one read-only snapshot, without locks.
-- Columns: campaign, recipient, attempt, a description, and the number of all findings (only samples are returned).

-- name: list_campaigns
-- The campaigns to count.
SELECT id FROM marketing_campaigns WHERE %(campaign)s::uuid IS NULL OR id = %(campaign)s ORDER BY id

-- name: wrong_state
-- Recipients whose stored status or due time differs from the one computed from their facts, or is not a known status.
SELECT campaign_id, id, attempt, format('stored %%s, due %%s; the facts give %%s, due %%s',
           status, coalesce(next_attempt_at::text, 'never'), meant, coalesce(meant_at::text, 'never')),
       count(*) OVER ()
FROM campaign_recipients AS r
CROSS JOIN LATERAL recipient_status(
    attempt, accepted_attempts, failed_attempts, delivered_at, read_at,
    deferred_attempt, expired_attempt, unknown_attempt, skipped_attempt) AS meant
CROSS JOIN LATERAL recipient_next_attempt_at(
    meant, attempt, scheduled_send_date, created_at, deferred_attempt, deferred_until, expired_attempt, expired_until,
    retry_attempt, failed_attempts, held_back_attempts, failed_at, failure_class, failure_backoff_s, max_retries)
    AS meant_at
WHERE (%(campaign)s::uuid IS NULL OR campaign_id = %(campaign)s)
  AND (status <> meant OR next_attempt_at IS DISTINCT FROM meant_at OR status <> ALL (%(states)s::text[]))
LIMIT %(samples)s

-- name: audience_is_not_the_sum
-- Campaigns whose counted statuses do not add up to the counted audience, or to the number of rows.
WITH stored AS (
    SELECT campaign_id,
           coalesce(sum(n) FILTER (WHERE dimension = 'status'), 0) AS states,
           coalesce(sum(n) FILTER (WHERE dimension = 'funnel' AND key = 'total'), 0) AS audience
    FROM (SELECT campaign_id, dimension, key, n FROM campaign_counters
          UNION ALL SELECT campaign_id, dimension, key, n FROM campaign_counter_deltas) AS every
    GROUP BY campaign_id),
existing AS (SELECT campaign_id, count(*) AS people FROM campaign_recipients GROUP BY campaign_id)
SELECT c.id, NULL::uuid, NULL::smallint,
       format('audience %%s, sum of states %%s, rows %%s', coalesce(audience, 0), coalesce(states, 0), coalesce(people, 0)),
       count(*) OVER ()
FROM marketing_campaigns AS c
LEFT JOIN stored ON stored.campaign_id = c.id LEFT JOIN existing ON existing.campaign_id = c.id
WHERE (%(campaign)s::uuid IS NULL OR c.id = %(campaign)s)
  AND (coalesce(audience, 0) <> coalesce(states, 0) OR coalesce(audience, 0) <> coalesce(people, 0))
LIMIT %(samples)s

-- name: double_send
-- Attempts with more than one wamid in any table: each proves that a message was sent twice.
WITH known AS (
    SELECT recipient_id, attempt, wamid_key(wamid) FROM double_sends
    UNION SELECT recipient_id, attempt, wamid_key(wamid) FROM messages WHERE recipient_id IS NOT NULL
    UNION SELECT recipient_id, attempt, wamid_key(wamid) FROM send_ledger WHERE wamid IS NOT NULL
    UNION SELECT recipient_id, attempt, wamid_key FROM old_messages),
twice AS (SELECT recipient_id, attempt, count(*) AS n FROM known GROUP BY 1, 2 HAVING count(*) > 1)
SELECT r.campaign_id, t.recipient_id, t.attempt, format('%%s message ids for one attempt', t.n), count(*) OVER ()
FROM twice AS t LEFT JOIN campaign_recipients AS r ON r.id = t.recipient_id
WHERE %(campaign)s::uuid IS NULL OR r.campaign_id = %(campaign)s
LIMIT %(samples)s

-- name: claim_without_outcome
-- Claims whose lease has ended and that were not declared unknown.
SELECT campaign_id, recipient_id, attempt, format('lease ended %%s', lease_until), count(*) OVER ()
FROM send_ledger
WHERE outcome IS NULL AND lease_until < now() - %(grace_s)s * interval '1 second'
  AND (%(campaign)s::uuid IS NULL OR campaign_id = %(campaign)s)
ORDER BY lease_until LIMIT %(samples)s

-- name: answer_unpublished
-- Outcomes in the ledger that are not published.
SELECT campaign_id, recipient_id, attempt, format('%%s since %%s', outcome, outcome_at), count(*) OVER ()
FROM send_ledger
WHERE outcome IS NOT NULL AND published_at IS NULL AND outcome_at < now() - %(grace_s)s * interval '1 second'
  AND (%(campaign)s::uuid IS NULL OR campaign_id = %(campaign)s)
ORDER BY outcome_at LIMIT %(samples)s

-- name: parked_though_known
-- Statuses parked for a message id whose recipient is known to the ledger or to a row.
WITH parked AS MATERIALIZED (SELECT wamid, first_seen_at FROM messages WHERE recipient_id IS NULL),
known AS (
    SELECT p.first_seen_at, l.campaign_id, l.recipient_id, l.attempt
    FROM parked AS p JOIN send_ledger AS l ON l.wamid = p.wamid
    WHERE l.published_at < least(%(applied_until)s::timestamptz, now() - %(grace_s)s * interval '1 second')
      AND NOT EXISTS (SELECT FROM held_events AS h WHERE h.recipient_id = l.recipient_id)
    UNION
    SELECT p.first_seen_at, r.campaign_id, r.id, r.accepted_attempt
    FROM parked AS p JOIN campaign_recipients AS r ON r.whatsapp_message_id = p.wamid)
SELECT campaign_id, recipient_id, attempt, format('parked since %%s', first_seen_at), count(*) OVER ()
FROM known WHERE %(campaign)s::uuid IS NULL OR campaign_id = %(campaign)s
LIMIT %(samples)s

-- name: parked_not_told
-- Statuses stored with a wamid that its recipient's row does not contain. Statuses older than the campaign were refused.
SELECT r.campaign_id, m.recipient_id, m.attempt, 'the row lacks facts of its message', count(*) OVER ()
FROM messages AS m
JOIN campaign_recipients AS r ON r.id = m.recipient_id
JOIN marketing_campaigns AS c ON c.id = r.campaign_id
WHERE (%(campaign)s::uuid IS NULL OR r.campaign_id = %(campaign)s)
  AND coalesce(least(m.accepted_at, m.replied_at, m.failed_at), 'infinity') >= c.created_at - interval '1 day'
  AND (m.sent_at < coalesce(r.sent_at, 'infinity') OR m.delivered_at < coalesce(r.delivered_at, 'infinity')
       OR m.read_at < coalesce(r.read_at, 'infinity') OR m.replied_at < coalesce(r.replied_at, 'infinity')
       OR (m.price IS NOT NULL AND r.price IS NULL)
       OR (m.failed_at IS NOT NULL AND r.failed_attempts & (1::bigint << m.attempt::integer) = 0)
       OR (m.accepted_at IS NOT NULL AND r.accepted_attempts & (1::bigint << m.attempt::integer) = 0))
LIMIT %(samples)s

-- name: message_missing
-- Message ids in rows that neither messages nor the keys of deleted messages know: a status without our callback data would
-- not find its row.
SELECT r.campaign_id, r.id, r.accepted_attempt, 'no message has the message id of the row', count(*) OVER ()
FROM campaign_recipients AS r
WHERE r.whatsapp_message_id IS NOT NULL
  AND NOT EXISTS (SELECT FROM messages AS m WHERE m.wamid = r.whatsapp_message_id)
  AND NOT EXISTS (SELECT FROM old_messages AS old WHERE old.wamid_key = wamid_key(r.whatsapp_message_id))
  AND (%(campaign)s::uuid IS NULL OR r.campaign_id = %(campaign)s)
LIMIT %(samples)s

-- name: pruned_not_recorded
-- The keys of deleted messages are as many as retention has recorded.
SELECT NULL::uuid, NULL::uuid, NULL::smallint, format('%%s keys, but %%s messages were deleted', kept.n, deleted.n), 1
FROM (SELECT count(*) AS n FROM old_messages) AS kept,
     (SELECT coalesce(sum(n), 0) AS n FROM pruned_rows WHERE table_name = 'messages') AS deleted
WHERE kept.n <> deleted.n

-- name: read_pruned
-- What retention has deleted, by table.
SELECT table_name, n, newest_at FROM pruned_rows ORDER BY table_name

-- name: released_unseen
-- Queued recipients that will never be sent: they have no release, no ledger row, and no due time.
SELECT r.campaign_id, r.id, r.attempt, 'queued, but neither released nor claimed', count(*) OVER ()
FROM campaign_recipients AS r
WHERE r.status = 'queued' AND r.next_attempt_at IS NULL
  AND NOT EXISTS (SELECT FROM releases AS rel WHERE rel.recipient_id = r.id AND rel.attempt = r.attempt)
  AND NOT EXISTS (SELECT FROM send_ledger AS l WHERE l.recipient_id = r.id AND l.attempt = r.attempt)
  AND (%(campaign)s::uuid IS NULL OR r.campaign_id = %(campaign)s)
LIMIT %(samples)s

-- name: row_missing
-- Attempts that were released, claimed or refused, and whose recipient's row was deleted: no counter includes them.
SELECT campaign_id, recipient_id, attempt, 'an attempt, but there is no such recipient', count(*) OVER ()
FROM (SELECT campaign_id, recipient_id, attempt FROM send_ledger
      UNION SELECT campaign_id, recipient_id, attempt FROM releases) AS every
WHERE (%(campaign)s::uuid IS NULL OR campaign_id = %(campaign)s)
  AND NOT EXISTS (SELECT FROM campaign_recipients AS r WHERE r.id = every.recipient_id)
LIMIT %(samples)s

-- name: attempt_behind
-- Recipients whose attempt is lower than a released or claimed one: the next release would use that number again.
WITH used AS (
    SELECT recipient_id, max(attempt) AS attempt
    FROM (SELECT recipient_id, attempt FROM send_ledger UNION ALL SELECT recipient_id, attempt FROM releases) AS every
    GROUP BY recipient_id)
SELECT r.campaign_id, r.id, r.attempt, format('attempt %%s was used already', used.attempt), count(*) OVER ()
FROM used JOIN campaign_recipients AS r ON r.id = used.recipient_id
WHERE r.attempt < used.attempt AND (%(campaign)s::uuid IS NULL OR r.campaign_id = %(campaign)s)
LIMIT %(samples)s

-- name: outcome_not_applied
-- Outcomes that were published before the time up to which the sink has applied all events, and that the row lacks.
SELECT l.campaign_id, l.recipient_id, l.attempt, format('%%s, published %%s', l.outcome, l.published_at), count(*) OVER ()
FROM send_ledger AS l JOIN campaign_recipients AS r ON r.id = l.recipient_id
WHERE l.published_at < least(%(applied_until)s::timestamptz, now()) - %(skew_s)s * interval '1 second'
  AND (%(campaign)s::uuid IS NULL OR l.campaign_id = %(campaign)s)
  AND NOT CASE l.outcome
      WHEN 'accepted' THEN r.accepted_attempts & (1::bigint << l.attempt::integer) <> 0
      WHEN 'rejected' THEN r.failed_attempts & (1::bigint << l.attempt::integer) <> 0
      WHEN 'unknown' THEN coalesce(r.unknown_attempt, 0) >= l.attempt
      WHEN 'deferred' THEN coalesce(r.deferred_attempt, 0) >= l.attempt
      WHEN 'expired' THEN coalesce(r.expired_attempt, 0) >= l.attempt
      ELSE coalesce(r.skipped_attempt, 0) >= l.attempt END
  AND NOT EXISTS (SELECT FROM held_events AS h WHERE h.recipient_id = r.id)
LIMIT %(samples)s

-- name: correct_counters
-- Add the corrections as deltas. Deltas are summed, so a concurrent change is neither lost nor counted twice.
INSERT INTO campaign_counter_deltas (campaign_id, dimension, key, n)
SELECT %(campaign)s, dimension, key, n
FROM unnest(%(dimensions)s::text[], %(keys)s::text[], %(corrections)s::bigint[]) AS u (dimension, key, n)

-- name: read_time
-- The time of the snapshot.
SELECT now()
