-- Statements about sends whose outcome is not known, and about statuses that wait for their recipient.

-- name: find_unknown
-- Recipients whose newest attempt is unknown, the longest first. Since when: as the ledger says, else the row's last change.
SELECT r.id, r.campaign_id, r.attempt, r.phone_number, coalesce(l.outcome_at, r.updated_at), r.next_attempt_at IS NOT NULL,
       c.name, c.status, count(*) OVER ()
FROM campaign_recipients AS r
JOIN marketing_campaigns AS c ON c.id = r.campaign_id
LEFT JOIN send_ledger AS l ON l.recipient_id = r.id AND l.attempt = r.attempt AND l.outcome = 'unknown'
WHERE r.status = 'unknown'
  AND (%(campaign)s::uuid IS NULL OR r.campaign_id = %(campaign)s)
  AND (%(ids)s::uuid[] IS NULL OR r.id = ANY (%(ids)s::uuid[]))
ORDER BY 5, r.id LIMIT %(limit)s

-- name: find_parked
-- Statuses that wait for a message id nobody has claimed, the oldest first.
SELECT wamid, phone_number_id, first_seen_at, sent_at, delivered_at, read_at, failed_at, replied_at, count(*) OVER ()
FROM messages WHERE recipient_id IS NULL ORDER BY first_seen_at LIMIT %(limit)s

-- name: read_foreign
-- Statuses of other systems on our numbers, by number.
SELECT phone_number_id, sum(n)::bigint, max(day) FROM foreign_statuses GROUP BY phone_number_id ORDER BY phone_number_id
