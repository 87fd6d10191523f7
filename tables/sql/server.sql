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
