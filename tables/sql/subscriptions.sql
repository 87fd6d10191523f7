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
-- later than that of the stored act, also if another clock was ahead when that was written. An opt-in also revokes the
-- operator's opt-outs under the other keys of the person.
WITH stated AS (
    INSERT INTO subscriptions AS s (person, source, subscribed, occurred_at)
    SELECT k.person, 'operator', %(subscribed)s, clock_timestamp()
    FROM (SELECT DISTINCT person FROM keys_of(person_of(%(person)s)) AS k (person)) AS k
    WHERE k.person = person_of(%(person)s)
       OR (%(subscribed)s AND EXISTS (SELECT FROM subscriptions AS o
               WHERE o.person = k.person AND o.source = 'operator' AND NOT o.subscribed))
    ORDER BY k.person
    ON CONFLICT (person, source) DO UPDATE SET
        subscribed = excluded.subscribed, updated_at = clock_timestamp(),
        occurred_at = greatest(clock_timestamp(), s.occurred_at + interval '1 microsecond')
    RETURNING s.person, s.source, s.subscribed, s.occurred_at
)
INSERT INTO subscription_outbox (person, source, subscribed, occurred_at)
SELECT person, source, subscribed, occurred_at FROM stated

-- name: find_out_by
-- The sources at which a person is unsubscribed, under any of their keys, whichever spelling of the number is given.
SELECT DISTINCT s.source FROM keys_of(person_of(%(person)s)) AS k (person) JOIN subscriptions AS s USING (person)
WHERE NOT s.subscribed ORDER BY s.source

-- name: read_unpublished
-- Changes that are not published yet, in their order.
SELECT id, person, source, subscribed, occurred_at FROM subscription_outbox
WHERE published_at IS NULL ORDER BY id LIMIT %(limit)s

-- name: mark_published
-- Mark changes as published: Kafka has acknowledged them.
UPDATE subscription_outbox SET published_at = clock_timestamp()
WHERE id = ANY (%(ids)s) AND published_at IS NULL
