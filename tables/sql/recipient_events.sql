-- The history of recipients for an export, as Postgres has it: retention deletes the attempts of finished campaigns.

-- name: read_events
-- What happened to these recipients, in the order of time: their claims and outcomes, and the statuses of their messages.
SELECT r.id, coalesce(r.phone_number, r.person), e.attempt, e.event, e.at, e.wamid, e.code, e.text
FROM campaign_recipients AS r
CROSS JOIN LATERAL (
    SELECT l.attempt, v.event, v.at, l.wamid,
           CASE v.event WHEN 'rejected' THEN (l.event::jsonb #>> '{failure,code}')::integer END,
           CASE v.event WHEN 'rejected' THEN l.event::jsonb #>> '{failure,reason}'
                        WHEN 'skipped' THEN l.event::jsonb ->> 'skip_reason' END
    FROM send_ledger AS l
    CROSS JOIN LATERAL (VALUES ('claimed', l.claimed_at), (l.outcome, l.outcome_at)) AS v (event, at)
    WHERE l.recipient_id = r.id AND v.at IS NOT NULL
    UNION ALL
    SELECT m.attempt, v.event, v.at, m.wamid,
           CASE v.event WHEN 'failed' THEN m.failure_code END, CASE v.event WHEN 'failed' THEN m.failure_text END
    FROM messages AS m
    CROSS JOIN LATERAL (VALUES ('sent', m.sent_at), ('delivered', m.delivered_at), ('read', m.read_at),
                               ('replied', m.replied_at), ('failed', m.failed_at)) AS v (event, at)
    WHERE m.recipient_id = r.id AND v.at IS NOT NULL
) AS e (attempt, event, at, wamid, code, text)
WHERE r.id = ANY (%(ids)s::uuid[])
ORDER BY r.id, e.at, e.attempt, e.event
