-- name: state_subscription
-- State what one source says of a person: the latest statement holds, and of two at one moment the opt-out.
INSERT INTO subscriptions AS s (person, source, subscribed, occurred_at)
VALUES (%(person)s, %(source)s, %(subscribed)s, %(occurred_at)s)
ON CONFLICT (person, source) DO UPDATE SET
    subscribed = excluded.subscribed, occurred_at = excluded.occurred_at, updated_at = clock_timestamp()
WHERE (excluded.occurred_at, NOT excluded.subscribed) > (s.occurred_at, NOT s.subscribed)

-- name: find_out_by
-- The sources that say that a person is out.
SELECT source FROM subscriptions WHERE person = %(person)s AND NOT subscribed ORDER BY source
