-- Statements of webhook_progress: up to which moment all acknowledged webhooks are applied.

-- name: record_progress
-- Store the moment, and return its age in seconds. An opt-out whose row is locked is not applied, so it holds the moment
-- back.
INSERT INTO webhook_progress (applied_through)
SELECT least(%(at)s::timestamptz, (SELECT min(waits_since) FROM waiting_subscriptions WHERE is_locked))
ON CONFLICT (is_only) DO UPDATE SET applied_through = excluded.applied_through
RETURNING greatest(0, extract(epoch FROM clock_timestamp() - applied_through))::float8

-- name: read_age
-- The age of the moment in seconds; no row if nobody has watched yet.
SELECT greatest(0, extract(epoch FROM clock_timestamp() - applied_through))::float8 FROM webhook_progress
