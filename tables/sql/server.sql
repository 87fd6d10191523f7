-- Statements about the server, not about a table.

-- name: read_clock
-- The time in Postgres. Changes of our hosts' clocks do not affect it.
SELECT clock_timestamp()

-- name: ping
-- The smallest statement.
SELECT 1

-- name: read_synchronous_commit
-- Whether a commit waits until it is durable.
SHOW synchronous_commit

-- name: create_database
-- An empty database. Python inserts the name as an identifier.
CREATE DATABASE {name}

-- name: drop_database
-- Drop a database, and end its sessions.
DROP DATABASE {name} WITH (FORCE)

-- name: list_standbys
-- The standbys of this server: name, state of synchronisation, bytes that it has not written to disk, seconds that it is
-- behind. The last two are unknown to an account without the role pg_monitor.
SELECT application_name,
       coalesce(sync_state, ''),
       pg_wal_lsn_diff(pg_current_wal_lsn(), flush_lsn)::bigint,
       extract(epoch FROM replay_lag)::float8
FROM pg_stat_replication
WHERE application_name <> 'pg_basebackup'
ORDER BY application_name

-- name: read_synchronous_standby_names
-- The standbys for which a commit waits; empty if it waits for none.
SHOW synchronous_standby_names
