-- Statements of the gauges that the scheduler's leader shows. Each reads a limited number of rows by an index.

-- name: count_waiting
-- What waits, each up to a limit, and how many seconds ago the oldest of it began to wait.
SELECT
    (SELECT count(*) FROM (SELECT FROM messages WHERE recipient_id IS NULL LIMIT %(rows_max)s) AS found) AS parked,
    (SELECT extract(epoch FROM now() - min(first_seen_at)) FROM messages WHERE recipient_id IS NULL) AS parked_s,
    (SELECT coalesce(sum(n), 0)::bigint FROM foreign_statuses
     WHERE day = (now() AT TIME ZONE 'UTC')::date) AS foreign_today,
    (SELECT coalesce(sum(n), 0)::bigint FROM (
        SELECT n FROM campaign_counters WHERE dimension = 'status' AND key = 'unknown' LIMIT %(rows_max)s) AS found)
        AS unknown,
    (SELECT count(*) FROM (
        SELECT FROM send_ledger WHERE outcome IS NULL AND lease_until < now() LIMIT %(rows_max)s) AS found) AS past_lease,
    (SELECT count(*) FROM (
        SELECT FROM send_ledger WHERE outcome IS NOT NULL AND published_at IS NULL LIMIT %(rows_max)s) AS found)
        AS unpublished,
    (SELECT extract(epoch FROM now() - min(outcome_at)) FROM send_ledger
     WHERE outcome IS NOT NULL AND published_at IS NULL) AS unpublished_s,
    (SELECT count(*) FROM (SELECT FROM held_events LIMIT %(rows_max)s) AS found) AS held,
    NOT installation_is_known() AS is_unrecovered

-- name: count_released
-- Per number, the busiest first: the attempts of active campaigns that were released and that no sender has claimed or
-- refused, and how many seconds ago the oldest was released.
SELECT phone_number_id, count(*), extract(epoch FROM now() - min(released_at))
FROM (
    SELECT rel.phone_number_id, rel.released_at FROM releases AS rel
    JOIN marketing_campaigns AS c ON c.id = rel.campaign_id AND c.status = 'active'
    LIMIT %(rows_max)s) AS found
GROUP BY phone_number_id ORDER BY count(*) DESC, phone_number_id LIMIT %(numbers_max)s

-- name: list_limited
-- Active campaigns with a daily limit.
SELECT id, time_zone, daily_send_limit, now() FROM marketing_campaigns
WHERE status = 'active' AND daily_send_limit IS NOT NULL ORDER BY status, id LIMIT %(campaigns_max)s
