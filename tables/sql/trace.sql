-- Statements that collect what the database knows about one recipient.

-- name: find_by_id
-- The recipient of this id.
SELECT id FROM campaign_recipients WHERE id = %(id)s

-- name: find_by_person
-- Every recipient who is this person, under any of their keys, campaign by campaign, so that the unique index serves.
SELECT r.id FROM marketing_campaigns AS c
CROSS JOIN LATERAL (
    SELECT id FROM campaign_recipients
    WHERE campaign_id = c.id AND person = ANY (ARRAY(SELECT keys_of(%(person)s)))) AS r
ORDER BY r.id

-- name: find_by_wamid
-- Whose message this is, as messages or ledger say. The message id of a row is in messages too: both are written in one
-- transaction.
SELECT recipient_id FROM messages WHERE wamid = %(wamid)s AND recipient_id IS NOT NULL
UNION SELECT recipient_id FROM send_ledger WHERE wamid = %(wamid)s
UNION SELECT recipient_id FROM old_messages WHERE wamid_key = wamid_key(%(wamid)s)

-- name: read_recipient
-- The row, with its campaign.
SELECT r.id, r.campaign_id, c.name, c.status, c.created_at,
       coalesce(r.phone_number, r.person) AS phone_number, r.person, r.status AS recipient_status,
       r.attempt, r.next_attempt_at, r.failure_reason, r.retry_count, r.scheduled_send_date, r.updated_at
FROM campaign_recipients AS r JOIN marketing_campaigns AS c ON c.id = r.campaign_id
WHERE r.id = %(id)s

-- name: read_releases
-- Its attempts that are released and not claimed yet.
SELECT attempt, released_at, publish_count, published_at, job_partition, job_offset, send_before
FROM releases WHERE recipient_id = %(id)s ORDER BY attempt

-- name: read_ledger
-- Its attempts that were claimed or refused.
SELECT attempt, claimed_at, lease_until, outcome, outcome_at, published_at, wamid
FROM send_ledger WHERE recipient_id = %(id)s ORDER BY attempt

-- name: read_messages
-- Its message ids.
SELECT wamid, attempt, first_seen_at FROM messages WHERE recipient_id = %(id)s ORDER BY attempt, wamid

-- name: read_subscriptions
-- What each source says about the person, under any of their keys.
SELECT s.source, s.subscribed, s.occurred_at FROM keys_of(%(person)s) AS k (person) JOIN subscriptions AS s USING (person)
ORDER BY s.source, s.person
