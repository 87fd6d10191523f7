-- Statements of subscriptions and of their outbox.

-- name: state_subscription
-- Store the subscription of a person at one source: the latest change wins, and an opt-out wins against an opt-in of the
-- same time. A change that wins also goes to the outbox; the lock of the row keeps the changes of one source in order.
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
-- The sources at which a person is unsubscribed.
SELECT source FROM subscriptions WHERE person = %(person)s AND NOT subscribed ORDER BY source

-- name: read_unpublished
-- Changes that are not published yet, in their order.
SELECT id, person, source, subscribed, occurred_at FROM subscription_outbox
WHERE published_at IS NULL ORDER BY id LIMIT %(limit)s

-- name: mark_published
-- Mark changes as published: Kafka has acknowledged them.
UPDATE subscription_outbox SET published_at = clock_timestamp()
WHERE id = ANY (%(ids)s) AND published_at IS NULL
