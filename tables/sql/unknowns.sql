-- Statements about sends whose outcome is unknown.

-- name: find_unknown
-- Recipients whose newest attempt is unknown, the oldest first. The time comes from the ledger, or else from the row's
-- last change.
SELECT r.id, r.campaign_id, r.attempt, coalesce(r.phone_number, r.person), coalesce(l.outcome_at, r.updated_at),
       r.next_attempt_at IS NOT NULL, c.name, c.status, count(*) OVER ()
FROM campaign_recipients AS r
JOIN marketing_campaigns AS c ON c.id = r.campaign_id
LEFT JOIN send_ledger AS l ON l.recipient_id = r.id AND l.attempt = r.attempt AND l.outcome = 'unknown'
WHERE r.status = 'unknown' AND r.unknown_attempt IS NOT NULL  -- the second condition is that of the index
  AND (%(campaign)s::uuid IS NULL OR r.campaign_id = %(campaign)s)
  AND (%(ids)s::uuid[] IS NULL OR r.id = ANY (%(ids)s::uuid[]))
ORDER BY 5, r.id LIMIT %(limit)s
