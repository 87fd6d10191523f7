-- Statements of subscriptions and of their outbox.

-- name: state_subscription
-- Store what a person changed at one source: the latest change wins, and an opt-out wins against an opt-in of the same
-- time. A change that wins also goes to the outbox; the lock of the row keeps the changes of one source in order.
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

-- name: state_by_operator
-- Store the operator's subscription of a person, by the database's clock. An operator's act always takes effect: its time is
-- later than that of the stored act, also if another clock was ahead when that was written.
WITH stated AS (
    INSERT INTO subscriptions AS s (person, source, subscribed, occurred_at)
    VALUES (%(person)s, 'operator', %(subscribed)s, clock_timestamp())
    ON CONFLICT (person, source) DO UPDATE SET
        subscribed = excluded.subscribed, updated_at = clock_timestamp(),
        occurred_at = greatest(clock_timestamp(), s.occurred_at + interval '1 microsecond')
    RETURNING s.person, s.source, s.subscribed, s.occurred_at
)
INSERT INTO subscription_outbox (person, source, subscribed, occurred_at)
SELECT person, source, subscribed, occurred_at FROM stated

-- name: find_out_by
-- The sources at which a person is unsubscribed, whichever spelling of the number is given.
SELECT source FROM subscriptions WHERE person = person_of(%(person)s) AND NOT subscribed ORDER BY source

-- name: read_unpublished
-- Changes that are not published yet, in their order.
SELECT id, person, source, subscribed, occurred_at FROM subscription_outbox
WHERE published_at IS NULL ORDER BY id LIMIT %(limit)s

-- name: mark_published
-- Mark changes as published: Kafka has acknowledged them.
UPDATE subscription_outbox SET published_at = clock_timestamp()
WHERE id = ANY (%(ids)s) AND published_at IS NULL
