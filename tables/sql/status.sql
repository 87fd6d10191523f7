-- Statements of `campaigns status`: each counts by an index or reads a small table, so it is fast under any load.

-- name: read_backlog
-- The number of waiting items of each kind, and the time of the oldest.
SELECT
    (SELECT count(*) FROM messages WHERE recipient_id IS NULL) AS parked,
    (SELECT min(first_seen_at) FROM messages WHERE recipient_id IS NULL) AS parked_since,
    (SELECT count(*) FROM releases AS rel JOIN marketing_campaigns AS c ON c.id = rel.campaign_id
     WHERE c.status = 'active') AS released,
    (SELECT min(released_at) FROM releases AS rel JOIN marketing_campaigns AS c ON c.id = rel.campaign_id
     WHERE c.status = 'active') AS released_since,
    (SELECT count(*) FROM send_ledger WHERE outcome IS NULL) AS in_flight,
    (SELECT count(*) FROM send_ledger WHERE outcome IS NULL AND lease_until < now()) AS past_lease,
    (SELECT count(*) FROM send_ledger WHERE outcome IS NOT NULL AND published_at IS NULL) AS untold,
    (SELECT min(outcome_at) FROM send_ledger WHERE outcome IS NOT NULL AND published_at IS NULL) AS untold_since,
    (SELECT count(DISTINCT (recipient_id, attempt)) FROM double_sends) AS double_sends,
    (SELECT coalesce(sum(n), 0)::bigint FROM (
        SELECT n FROM campaign_counters WHERE dimension = 'status' AND key = 'unknown'
        UNION ALL SELECT n FROM campaign_counter_deltas WHERE dimension = 'status' AND key = 'unknown') AS every)
        AS unknown,
    (SELECT count(*) FROM held_events) AS held,
    (SELECT min(held_at) FROM held_events) AS held_since

-- name: read_sending
-- Messages that WhatsApp accepted: their number in the last minute, the time of the last, and the time of the last that
-- is old enough for its webhook.
SELECT
    (SELECT count(*) FROM send_ledger
     WHERE outcome = 'accepted' AND outcome_at > now() - interval '1 minute') AS last_minute,
    (SELECT max(outcome_at) FROM send_ledger WHERE outcome = 'accepted') AS last_at,
    (SELECT max(outcome_at) FROM send_ledger
     WHERE outcome = 'accepted' AND outcome_at < now() - %(silent_s)s::double precision * interval '1 second'
       AND outcome_at > now() - %(day_s)s::double precision * interval '1 second') AS last_long_ago

-- name: list_open_campaigns
-- Active and paused campaigns.
SELECT id, name, status, pause_reason, updated_at FROM marketing_campaigns
WHERE status IN ('active', 'paused') ORDER BY status, id

-- name: count_sessions
-- The sessions of our processes in this database, by application name.
SELECT application_name, count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'campaigns-%%' AND pid <> pg_backend_pid()
GROUP BY application_name

-- name: list_locks
-- The keys of the advisory locks that are held in this database, in the scope of this schema (tables/locks.py).
SELECT ((classid::bigint << 32) | objid::bigint)
       # CASE current_schema() WHEN 'public' THEN 0 ELSE hashtextextended(current_schema(), 0) END
FROM pg_locks
WHERE locktype = 'advisory' AND granted AND objsubid = 1
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
