-- Statements of idempotency_keys.

-- name: find_answer
-- The stored response of this key.
SELECT request_hash, response_status, response_body FROM idempotency_keys WHERE key = %(key)s

-- name: try_key
-- Lock a key until the end of the transaction. Returns false if another request holds it.
SELECT pg_try_advisory_xact_lock(hashtextextended(%(lock)s, 0))

-- name: store_answer
-- Store the response of a key, in the transaction of its request.
INSERT INTO idempotency_keys (key, request_hash, response_status, response_body)
VALUES (%(key)s, %(request_hash)s, %(response_status)s, %(response_body)s)
