-- Statements of sender_failures: senders that ended by a bug before Meta had answered them even once.

-- name: add_failure
-- Record such an end, and forget those of a day ago.
WITH old AS (
    DELETE FROM sender_failures WHERE failed_at < now() - interval '1 day'
)
INSERT INTO sender_failures (host) VALUES (%(host)s)

-- name: take_failures
-- Delete the recorded ends of a host if there are enough of them within ten minutes, and return how many there were.
WITH recent AS (
    SELECT id FROM sender_failures WHERE host = %(host)s AND failed_at > now() - interval '10 minutes'
)
DELETE FROM sender_failures
WHERE id IN (SELECT id FROM recent) AND (SELECT count(*) FROM recent) >= %(enough)s
RETURNING id
