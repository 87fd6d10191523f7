-- The clock that decides when anybody is due.

-- name: read_clock
-- The time in Postgres, which no host of ours can put forward or back.
SELECT clock_timestamp()
