-- Statements of breakers, and of the changes that they cause. The functions and the rules are in schema.sql.

-- name: limit_lock_wait
-- Until the end of the transaction, fail instead of waiting longer for a lock.
SELECT set_config('lock_timeout', %(limit)s, true)

-- name: lock_reported
-- Lock the breakers of these recipients' scopes, in the order of every other writer. The next statement then sees each
-- reset that was committed before it.
SELECT FROM breakers AS b
WHERE (b.scope, b.key) IN (
    SELECT s.scope, s.key
    FROM unnest(%(recipients)s::uuid[]) AS u (id)
    JOIN campaign_recipients AS r ON r.id = u.id
    JOIN marketing_campaigns AS c ON c.id = r.campaign_id
    CROSS JOIN LATERAL breaker_scopes(c.phone_number_id, r.person, c.template_name, c.language_code) AS s)
ORDER BY b.scope, b.key FOR UPDATE OF b

-- name: feed_reported
-- Feed failures that webhooks reported a moment ago, one for each campaign and code. An attempt that was claimed before
-- its campaign was started, or before the last opening, reset or closing of the breaker, says nothing about the time since.
SELECT feed_breakers(
    array_agg(f.id ORDER BY f.id), array_agg(f.n ORDER BY f.id), array_agg(f.letters ORDER BY f.id),
    array_agg(f.code ORDER BY f.id), array_agg(f.reason ORDER BY f.id), %(first_s)s, %(max_s)s)
FROM (
    SELECT DISTINCT ON (c.id, u.code) u.id, u.n, u.letters, u.code, u.reason
    FROM unnest(%(recipients)s::uuid[], %(attempts)s::smallint[], %(letters)s::text[], %(codes)s::integer[],
                %(reasons)s::text[], %(times)s::timestamptz[]) AS u (id, n, letters, code, reason, at)
    JOIN send_ledger AS l ON l.recipient_id = u.id AND l.attempt = u.n
    JOIN campaign_recipients AS r ON r.id = u.id
    JOIN marketing_campaigns AS c ON c.id = r.campaign_id
    WHERE u.at > clock_timestamp() - %(fresh_s)s * interval '1 second'
      AND (c.started_at IS NULL OR l.claimed_at > c.started_at)
      AND NOT EXISTS (
          SELECT FROM breaker_scopes(c.phone_number_id, r.person, c.template_name, c.language_code) AS s
          JOIN breakers AS b ON b.scope = s.scope AND b.key = s.key
          WHERE substr(u.letters, s.place, 1) <> 'n' AND greatest(b.opened_at, b.closed_at) >= l.claimed_at)
    ORDER BY c.id, u.code, l.claimed_at DESC
) AS f
HAVING count(*) > 0

-- name: list_breakers
-- The breakers that are open, those that count, and those whose scope recovers: the open ones first.
SELECT scope, key, opened_at, code, reason, needs_human, streak, bit_count(recent::bit(32))::integer, probe_at,
       probe_until > clock_timestamp() IS TRUE, closed_at
FROM breakers
ORDER BY opened_at IS NULL, opened_at, scope, key LIMIT %(limit)s

-- name: take_release_probe
-- Let the scheduler release one message as the probe of every open breaker of a campaign. No row: not now.
WITH wanted AS MATERIALIZED (
    SELECT b.scope, b.key,
           NOT b.needs_human AND b.probe_at <= clock_timestamp()
           AND (b.probe_until IS NULL OR b.probe_until < clock_timestamp())
           AND (b.probe_released_at IS NULL OR b.probe_released_at < clock_timestamp() - interval '5 seconds') AS permits
    FROM breakers AS b
    JOIN breaker_scopes(%(number)s, '', %(template)s, %(language)s) AS s ON s.scope = b.scope AND s.key = b.key
    WHERE b.opened_at IS NOT NULL AND s.scope <> 'recipient'
    ORDER BY b.scope, b.key FOR UPDATE OF b
)
UPDATE breakers AS b SET probe_released_at = clock_timestamp()
FROM wanted WHERE b.scope = wanted.scope AND b.key = wanted.key AND (SELECT bool_and(permits) FROM wanted)
RETURNING 1

-- name: reset_campaign
-- An operator resumes a campaign: its open breakers may send a probe at once, and its first sends are tried again.
WITH campaign AS (
    SELECT id, phone_number_id, template_name, language_code FROM marketing_campaigns WHERE id = %(campaign)s
), tried AS (
    DELETE FROM template_trials AS t USING campaign WHERE t.campaign_id = campaign.id AND NOT t.is_over
), wanted AS MATERIALIZED (
    SELECT b.scope, b.key FROM campaign AS c
    CROSS JOIN LATERAL breaker_scopes(c.phone_number_id, '', c.template_name, c.language_code) AS s
    JOIN breakers AS b ON b.scope = s.scope AND b.key = s.key
    WHERE b.opened_at IS NOT NULL AND s.scope <> 'recipient'
    ORDER BY b.scope, b.key FOR UPDATE OF b
), reset AS (
    UPDATE breakers AS b SET needs_human = false, pause_s = 0, probe_at = clock_timestamp(),
        opened_at = clock_timestamp(), probe_released_at = NULL
    FROM wanted WHERE b.scope = wanted.scope AND b.key = wanted.key
    RETURNING b.scope, b.key, b.code, b.reason
), noted AS (
    INSERT INTO breaker_changes (change, scope, key, code, reason)
    SELECT 'reset', scope, key, code, reason FROM reset
)
SELECT scope, key FROM reset

-- name: pause_held
-- Pause the active campaigns whose breaker needs a human, or has been open for too long. Locked campaigns wait.
WITH held AS MATERIALIZED (
    SELECT c.id, why.scope, why.key, why.code, why.reason, why.needs_human
    FROM marketing_campaigns AS c
    CROSS JOIN LATERAL (
        SELECT b.* FROM breakers AS b
        JOIN breaker_scopes(c.phone_number_id, '', c.template_name, c.language_code) AS s
            ON s.scope = b.scope AND s.key = b.key
        WHERE s.scope <> 'recipient' AND b.opened_at IS NOT NULL
          AND (b.needs_human OR b.opened_at < now() - %(limit_s)s * interval '1 second')
        ORDER BY b.needs_human DESC, b.opened_at LIMIT 1
    ) AS why
    WHERE c.status = 'active' AND EXISTS (SELECT FROM breakers WHERE opened_at IS NOT NULL)
    ORDER BY c.id FOR NO KEY UPDATE OF c SKIP LOCKED
), noted AS (
    INSERT INTO breaker_changes (change, scope, key, campaign_id, code, reason, needs_human)
    SELECT 'campaign_paused', scope, key, id, code, reason, needs_human FROM held
)
UPDATE marketing_campaigns AS c SET
    status = 'paused',
    pause_reason = concat_ws(' ', held.scope, nullif(held.key, ''), 'stopped:', coalesce(held.reason, 'no reason given'))
FROM held WHERE c.id = held.id AND c.status = 'active'
RETURNING c.id, c.pause_reason

-- name: unpublished_changes
-- Changes of breakers that are not on `campaign.control` yet, the oldest first.
SELECT id, change, scope, key, campaign_id, code, reason, needs_human, changed_at FROM breaker_changes
WHERE published_at IS NULL ORDER BY id LIMIT %(limit)s

-- name: mark_changes
-- Mark changes as published.
UPDATE breaker_changes SET published_at = clock_timestamp() WHERE id = ANY (%(ids)s::bigint[])

-- name: count_open
-- How many breakers are open, by scope.
SELECT scope, count(*) FROM breakers WHERE opened_at IS NOT NULL GROUP BY scope

-- name: forget_recovered
-- Delete breakers that closed more than a minute ago and count nothing, and changes that were published a month ago. Each
-- run deletes a bounded number of both. Changes are published in the order of their ids, so the oldest have the lowest.
WITH forgotten AS (
    DELETE FROM breaker_changes
    WHERE id = ANY (ARRAY(SELECT id FROM breaker_changes ORDER BY id LIMIT %(limit)s))
      AND published_at < now() - interval '30 days'
), recovered AS MATERIALIZED (
    SELECT scope, key FROM breakers
    WHERE opened_at IS NULL AND streak = 0 AND foreign_streak = 0 AND recent = 0
      AND (closed_at IS NULL OR closed_at < clock_timestamp() - interval '60 seconds')
    LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
DELETE FROM breakers AS b USING recovered WHERE b.scope = recovered.scope AND b.key = recovered.key

-- name: close_breaker
-- An operator closes one breaker. The rate of its scope recovers as after a probe.
WITH wanted AS MATERIALIZED (
    SELECT scope, key, code, reason, needs_human FROM breakers
    WHERE scope = %(scope)s AND key = %(key)s AND opened_at IS NOT NULL FOR UPDATE
), noted AS (
    INSERT INTO breaker_changes (change, scope, key, code, reason, needs_human)
    SELECT 'closed', scope, key, code, reason, needs_human FROM wanted
)
UPDATE breakers AS b SET
    streak = 0, foreign_streak = 0, recent = 0, opened_at = NULL, reason = NULL, code = NULL, needs_human = false,
    probe_at = NULL, probe_recipient = NULL, probe_attempt = NULL, probe_until = NULL, probe_released_at = NULL,
    closed_at = clock_timestamp()
FROM wanted WHERE b.scope = wanted.scope AND b.key = wanted.key
RETURNING b.scope, b.key

-- name: open_breaker
-- An operator opens one breaker: nothing is sent to its scope before an operator closes it or resumes a campaign.
WITH opened AS (
    INSERT INTO breakers AS b (scope, key, opened_at, reason, needs_human, probe_at)
    VALUES (%(scope)s, %(key)s, clock_timestamp(), %(reason)s, true, clock_timestamp())
    ON CONFLICT (scope, key) DO UPDATE SET
        opened_at = coalesce(b.opened_at, excluded.opened_at), reason = excluded.reason, code = NULL,
        needs_human = true, probe_at = excluded.probe_at
    RETURNING b.scope, b.key, b.reason
)
INSERT INTO breaker_changes (change, scope, key, reason, needs_human) SELECT 'opened', scope, key, reason, true FROM opened
RETURNING scope, key

-- name: list_holding
-- The open breakers that hold the messages of these campaigns to everybody, each with its campaign.
SELECT c.id, b.scope, b.key, b.opened_at, b.code, b.reason, b.needs_human, b.streak,
       bit_count(b.recent::bit(32))::integer, b.probe_at, b.probe_until > clock_timestamp() IS TRUE, b.closed_at
FROM marketing_campaigns AS c
CROSS JOIN LATERAL breaker_scopes(c.phone_number_id, '', c.template_name, c.language_code) AS s
JOIN breakers AS b ON b.scope = s.scope AND b.key = s.key
WHERE c.id = ANY (%(ids)s::uuid[]) AND b.opened_at IS NOT NULL AND s.scope <> 'recipient'
ORDER BY c.id, b.opened_at
