-- Statements of `campaigns recover`.

-- name: read_installation
-- Whether server and timeline are those that the data belongs to, and the epoch.
SELECT installation_is_known(), coalesce((SELECT epoch FROM installation), 0)

-- name: stop_sending
-- Prevent releases and claims until the new epoch, also if server and timeline are unchanged (`--force`).
UPDATE installation SET timeline = 'recovering'

-- name: declare_lost
-- Declare released attempts without an outcome unknown, in the row and in the ledger, which publishes the event.
WITH lost AS MATERIALIZED (
    SELECT r.id, r.campaign_id, released.attempt
    FROM unnest(%(recipients)s::uuid[], %(attempts)s::smallint[]) AS released (id, attempt)
    JOIN campaign_recipients AS r ON r.id = released.id
    WHERE (r.attempt < released.attempt
           OR (r.attempt = released.attempt AND r.status = 'queued' AND r.next_attempt_at IS NULL))
      AND NOT EXISTS (SELECT FROM send_ledger AS l WHERE l.recipient_id = r.id AND l.attempt = released.attempt)
    ORDER BY r.id FOR NO KEY UPDATE OF r
), declared AS (
    UPDATE campaign_recipients AS r SET
        attempt = greatest(r.attempt, lost.attempt), unknown_attempt = greatest(r.unknown_attempt, lost.attempt),
        updated_at = clock_timestamp()
    FROM lost WHERE r.id = lost.id
), settled AS (
    INSERT INTO send_ledger (recipient_id, attempt, campaign_id, budget_day, send_before, token, lease_until,
                             outcome, outcome_at, event)
    SELECT id, attempt, campaign_id, current_date, clock_timestamp(), gen_random_uuid(), clock_timestamp(),
           'unknown', clock_timestamp(), ledger_event('unknown', campaign_id, id, attempt, %(producer)s)
    FROM lost ON CONFLICT DO NOTHING
), forgotten AS (
    DELETE FROM releases AS rel USING lost WHERE rel.recipient_id = lost.id AND rel.attempt <= lost.attempt
)
SELECT count(*) FROM lost

-- name: find_ahead
-- Released attempts that are newer than the row: the database lacks their release, so commits were lost.
SELECT count(*) FROM unnest(%(recipients)s::uuid[], %(attempts)s::smallint[]) AS released (id, attempt)
JOIN campaign_recipients AS r ON r.id = released.id WHERE r.attempt < released.attempt

-- name: find_open
-- Queued recipients without a ledger row: they were released, also if the topic has no job for them.
SELECT r.id, r.attempt FROM campaign_recipients AS r
WHERE r.status = 'queued' AND r.next_attempt_at IS NULL AND r.id > %(after)s
  AND NOT EXISTS (SELECT FROM send_ledger AS l WHERE l.recipient_id = r.id AND l.attempt = r.attempt)
ORDER BY r.id LIMIT %(limit)s

-- name: begin_epoch
-- Write the identity of this server, which permits releases and claims again.
INSERT INTO installation AS i (system_identifier, timeline)
SELECT system_identifier, current_timeline() FROM pg_control_system()
ON CONFLICT (is_only) DO UPDATE SET
    system_identifier = excluded.system_identifier, timeline = excluded.timeline, epoch = i.epoch + 1,
    recovered_at = clock_timestamp()
RETURNING epoch
