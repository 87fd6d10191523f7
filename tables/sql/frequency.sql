-- Statements of the frequency cap. The functions that judge it are in schema.sql, and the rules in domain/frequency.py.

-- name: lock_cap
-- The cap, locked for one releaser until the end of its transaction. Nothing is locked while there is no cap.
SELECT messages, days, pg_advisory_xact_lock(hashtextextended('frequency_cap', 0)) FROM frequency_cap

-- name: read_cap
-- The cap.
SELECT messages, days FROM frequency_cap

-- name: write_cap
-- Set the cap. It holds for every release and claim from the commit on.
INSERT INTO frequency_cap AS known (messages, days) VALUES (%(messages)s, %(days)s)
ON CONFLICT (is_only) DO UPDATE SET
    messages = excluded.messages, days = excluded.days, updated_at = clock_timestamp()

-- name: remove_cap
-- Remove the cap.
DELETE FROM frequency_cap
