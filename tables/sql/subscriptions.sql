-- Statements of subscriptions, of the events about them that wait, and of their outbox.

-- name: merge_subscriptions
-- Merge what was stated at each source: the latest wins, and an opt-out wins against an opt-in of the same time. The latest
-- opt-out is kept beside it. The input is sorted by its key, so rows are locked in that order.
INSERT INTO subscriptions AS s (person, source, subscribed, occurred_at, opted_out_at)
SELECT * FROM unnest(
    %(person)s::text[], %(source)s::text[], %(subscribed)s::boolean[], %(occurred_at)s::timestamptz[],
    %(opted_out_at)s::timestamptz[])
ON CONFLICT (person, source) DO UPDATE SET
    subscribed = CASE WHEN (excluded.occurred_at, NOT excluded.subscribed) > (s.occurred_at, NOT s.subscribed)
        THEN excluded.subscribed ELSE s.subscribed END,
    occurred_at = greatest(s.occurred_at, excluded.occurred_at),
    opted_out_at = greatest(s.opted_out_at, excluded.opted_out_at), updated_at = clock_timestamp()
WHERE (excluded.occurred_at, NOT excluded.subscribed) > (s.occurred_at, NOT s.subscribed)
   OR excluded.opted_out_at > coalesce(s.opted_out_at, '-infinity')

-- name: find_locked_subscriptions
-- The lines whose row another transaction has locked. The free rows are locked until the end of the transaction.
WITH named AS MATERIALIZED (
    SELECT u.line, s.person, s.source
    FROM unnest(%(person)s::text[], %(source)s::text[]) WITH ORDINALITY AS u (person, source, line)
    JOIN subscriptions AS s ON s.person = u.person AND s.source = u.source
), free AS MATERIALIZED (
    SELECT s.person, s.source FROM subscriptions AS s
    WHERE (s.person, s.source) IN (SELECT person, source FROM named)
    ORDER BY s.person, s.source FOR NO KEY UPDATE SKIP LOCKED
)
SELECT line::integer FROM named WHERE (person, source) NOT IN (SELECT person, source FROM free) ORDER BY line

-- name: find_answered
-- The persons who got these messages, as messages or the keys of old messages know them.
SELECT u.wamid, r.person
FROM unnest(%(wamids)s::text[]) AS u (wamid)
CROSS JOIN LATERAL (
    SELECT m.recipient_id FROM messages AS m WHERE m.wamid = u.wamid AND m.recipient_id IS NOT NULL
    UNION ALL
    SELECT old.recipient_id FROM old_messages AS old WHERE old.wamid_key = wamid_key(u.wamid)
    LIMIT 1) AS found
JOIN campaign_recipients AS r ON r.id = found.recipient_id

-- name: hold_subscriptions
-- Keep events that cannot be applied completely yet. An event that is read twice is kept once.
INSERT INTO waiting_subscriptions (is_locked, person, wamid, source, subscribed, occurred_at, event)
SELECT * FROM unnest(%(is_locked)s::boolean[], %(person)s::text[], %(wamid)s::text[], %(source)s::text[],
    %(subscribed)s::boolean[], %(occurred_at)s::timestamptz[], %(event)s::text[])
ON CONFLICT (wamid, person, source, occurred_at, subscribed) DO UPDATE SET
    is_locked = waiting_subscriptions.is_locked OR excluded.is_locked

-- name: is_any_waiting
-- Whether any event waits, at any place and under any lock.
SELECT EXISTS (SELECT FROM waiting_subscriptions)

-- name: take_waiting
-- The next waiting events after a place. Another sink may hold some of them: those are left to it.
SELECT id, event, is_locked, waits_since < now() - make_interval(secs => %(wait_max_s)s) AS is_old
FROM waiting_subscriptions WHERE id > %(after)s ORDER BY id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED

-- name: unlock_waiting
-- Mark events as applied under the keys that they name: now only the recipient of their message is missing.
UPDATE waiting_subscriptions SET is_locked = false WHERE id = ANY(%(ids)s::bigint[]) AND is_locked

-- name: release_waiting
-- Forget events that were applied, or that have waited long enough.
DELETE FROM waiting_subscriptions WHERE id = ANY(%(ids)s::bigint[])

-- name: state_by_operator
-- Store the operator's subscription of a person, by the database's clock. An operator's act always takes effect: its time
-- is later than that of the stored acts under all keys of the person, also if another clock was ahead when they were
-- written. An opt-in also revokes the operator's opt-outs under the other keys.
WITH keys AS MATERIALIZED (
    SELECT DISTINCT person FROM keys_of(person_of(%(person)s)) AS k (person)
), stored AS (
    SELECT k.person, s.subscribed, s.occurred_at
    FROM keys AS k LEFT JOIN subscriptions AS s ON s.person = k.person AND s.source = 'operator'
), stated AS (
    INSERT INTO subscriptions AS s (person, source, subscribed, occurred_at)
    SELECT k.person, 'operator', %(subscribed)s,
           greatest(clock_timestamp(), (SELECT max(occurred_at) FROM stored) + interval '1 microsecond')
    FROM stored AS k
    WHERE k.person = person_of(%(person)s) OR (%(subscribed)s AND NOT k.subscribed)
    ORDER BY k.person
    ON CONFLICT (person, source) DO UPDATE SET
        subscribed = excluded.subscribed, updated_at = clock_timestamp(),
        occurred_at = greatest(excluded.occurred_at, s.occurred_at + interval '1 microsecond')
    RETURNING s.person, s.source, s.subscribed, s.occurred_at
)
INSERT INTO subscription_outbox (person, source, subscribed, occurred_at)
SELECT person, source, subscribed, occurred_at FROM stated

-- name: opt_out_by_operator
-- Opt people out as an operator, by the database's clock, and return how many were not out by an operator before. The time
-- is later than that of the stored acts under all keys of the person.
WITH named AS MATERIALIZED (
    SELECT DISTINCT person_of(p) AS person FROM unnest(%(persons)s::text[]) AS p
), stated AS (
    INSERT INTO subscriptions AS s (person, source, subscribed, occurred_at)
    SELECT n.person, 'operator', false, greatest(clock_timestamp(), interval '1 microsecond' + (
               SELECT max(o.occurred_at) FROM keys_of(n.person) AS k (person) JOIN subscriptions AS o USING (person)
               WHERE o.source = 'operator'))
    FROM named AS n
    WHERE 'operator' NOT IN (SELECT sources_out(n.person))
    ORDER BY n.person
    ON CONFLICT (person, source) DO UPDATE SET
        subscribed = false, updated_at = clock_timestamp(),
        occurred_at = greatest(excluded.occurred_at, s.occurred_at + interval '1 microsecond')
    RETURNING s.person, s.source, s.subscribed, s.occurred_at
), published AS (
    INSERT INTO subscription_outbox (person, source, subscribed, occurred_at)
    SELECT person, source, subscribed, occurred_at FROM stated
)
SELECT count(*) FROM stated

-- name: find_out_by
-- The sources at which a person is unsubscribed, over all their keys, whichever spelling of the number is given.
SELECT source FROM sources_out(person_of(%(person)s)) AS s (source) ORDER BY source

-- name: read_unpublished
-- Changes that are not published yet, in their order.
SELECT id, person, source, subscribed, occurred_at FROM subscription_outbox
WHERE published_at IS NULL ORDER BY id LIMIT %(limit)s

-- name: mark_published
-- Mark changes as published: Kafka has acknowledged them.
UPDATE subscription_outbox SET published_at = clock_timestamp()
WHERE id = ANY (%(ids)s) AND published_at IS NULL
