-- name: state_subscription
-- State what one source says of a person: the latest statement holds, and of two at one moment the opt-out. What took
-- hold is left to be published by the same statement; the row's lock keeps the order of one source's statements.
WITH stated AS (
    INSERT INTO subscriptions AS s (person, source, subscribed, occurred_at)
    VALUES (%(person)s, %(source)s, %(subscribed)s, %(occurred_at)s)
    ON CONFLICT (person, source) DO UPDATE SET
        subscribed = excluded.subscribed, occurred_at = excluded.occurred_at, updated_at = clock_timestamp()
    WHERE (excluded.occurred_at, NOT excluded.subscribed) > (s.occurred_at, NOT s.subscribed)
    RETURNING s.person, s.source, s.subscribed, s.occurred_at
)
INSERT INTO subscription_outbox (person, source, subscribed, occurred_at)
SELECT person, source, subscribed, occurred_at FROM stated

-- name: find_out_by
-- The sources that say that a person is out.
SELECT source FROM subscriptions WHERE person = %(person)s AND NOT subscribed ORDER BY source

-- name: read_unpublished
-- What is still to be published, in the order in which it was said.
SELECT id, person, source, subscribed, occurred_at FROM subscription_outbox
WHERE published_at IS NULL ORDER BY id LIMIT %(limit)s

-- name: mark_published
-- Kafka has acknowledged these.
UPDATE subscription_outbox SET published_at = clock_timestamp()
WHERE id = ANY (%(ids)s) AND published_at IS NULL
