-- Statements of idempotency_keys.

-- name: find_answer
-- The answer that was given to this idempotency key.
SELECT request_hash, response_status, response_body FROM idempotency_keys WHERE key = %(key)s

-- name: try_key
-- Hold an idempotency key until the end of the transaction; false: another request has it now.
SELECT pg_try_advisory_xact_lock(hashtextextended(%(lock)s, 0))

-- name: store_answer
-- Remember the answer to an idempotency key, in the transaction that did what it tells.
INSERT INTO idempotency_keys (key, request_hash, response_status, response_body)
VALUES (%(key)s, %(request_hash)s, %(response_status)s, %(response_body)s)

-- name: forget_keys
-- Forget idempotency keys after a time.
DELETE FROM idempotency_keys WHERE created_at < now() - %(older_than_s)s * interval '1 second'
