-- Statements of releases, and of the budgets that limit them: campaign_days and number_rates.

-- name: find_due_campaigns
-- Those of these campaigns that have due recipients, their limits, and the number of due recipients without and with an
-- earlier attempt (each counted up to a maximum). The search of a campaign begins after the places that the caller
-- remembers. Of a campaign that follows its recipients, only those of the open countries count. A campaign that an open
-- breaker holds is left out, unless a probe may be released. The last column is the room of its canary.
SELECT c.id, c.phone_number_id, c.daily_send_limit, c.template_name, c.language_code, c.endpoint, fresh.n, tried.n,
       now(), breaker.is_held, breaker.number_closed_at, breaker.template_closed_at,
       CASE WHEN c.canary AND canary.allowed IS NOT NULL THEN greatest(0, canary.allowed - canary.released) END
FROM marketing_campaigns AS c
LEFT JOIN campaign_canaries AS canary ON canary.campaign_id = c.id
CROSS JOIN LATERAL campaign_breakers(c.phone_number_id, c.template_name, c.language_code) AS breaker
LEFT JOIN unnest(%(campaigns)s::uuid[], %(fresh_at)s::timestamptz[], %(fresh_id)s::uuid[],
                 %(tried_at)s::timestamptz[], %(tried_id)s::uuid[])
    AS place (campaign_id, fresh_at, fresh_id, tried_at, tried_id) ON place.campaign_id = c.id
CROSS JOIN LATERAL (
    SELECT count(*) AS n FROM (
        (SELECT FROM campaign_recipients AS r
         WHERE c.window_zone = 'campaign' AND r.campaign_id = c.id AND r.attempt = 0 AND r.next_attempt_at <= now()
           AND (r.next_attempt_at, r.id) > (coalesce(place.fresh_at, '-infinity'), coalesce(
               place.fresh_id, '00000000-0000-0000-0000-000000000000'))
         ORDER BY r.next_attempt_at, r.id LIMIT %(count_max)s)
        UNION ALL
        (SELECT FROM unnest(%(following)s::uuid[], %(countries)s::text[]) AS open (campaign_id, country)
         CROSS JOIN LATERAL (
             SELECT FROM campaign_recipients AS r
             WHERE r.campaign_id = c.id AND r.window_country = open.country AND r.attempt = 0
               AND r.next_attempt_at <= now()
               AND (r.next_attempt_at, r.id) > (coalesce(place.fresh_at, '-infinity'), coalesce(
                   place.fresh_id, '00000000-0000-0000-0000-000000000000'))
             ORDER BY r.next_attempt_at, r.id LIMIT %(count_max)s) AS found
         WHERE open.campaign_id = c.id AND c.window_zone = 'recipient' LIMIT %(count_max)s)
    ) AS counted
) AS fresh
CROSS JOIN LATERAL (
    SELECT count(*) AS n FROM (
        (SELECT FROM campaign_recipients AS r
         WHERE c.window_zone = 'campaign' AND r.campaign_id = c.id AND r.attempt > 0 AND r.next_attempt_at <= now()
           AND (r.next_attempt_at, r.id) > (coalesce(place.tried_at, '-infinity'), coalesce(
               place.tried_id, '00000000-0000-0000-0000-000000000000'))
         ORDER BY r.next_attempt_at, r.id LIMIT %(count_max)s)
        UNION ALL
        (SELECT FROM unnest(%(following)s::uuid[], %(countries)s::text[]) AS open (campaign_id, country)
         CROSS JOIN LATERAL (
             SELECT FROM campaign_recipients AS r
             WHERE r.campaign_id = c.id AND r.window_country = open.country AND r.attempt > 0
               AND r.next_attempt_at <= now()
               AND (r.next_attempt_at, r.id) > (coalesce(place.tried_at, '-infinity'), coalesce(
                   place.tried_id, '00000000-0000-0000-0000-000000000000'))
             ORDER BY r.next_attempt_at, r.id LIMIT %(count_max)s) AS found
         WHERE open.campaign_id = c.id AND c.window_zone = 'recipient' LIMIT %(count_max)s)
    ) AS counted
) AS tried
WHERE c.id = ANY (%(open)s::uuid[]) AND c.status = 'active' AND fresh.n + tried.n > 0 AND installation_is_known()
  AND (NOT breaker.is_held OR breaker.may_probe)
ORDER BY c.id

-- name: pause_campaign
-- Pause an active campaign of which no message can be made.
UPDATE marketing_campaigns SET status = 'paused', pause_reason = %(reason)s
WHERE id = (SELECT id FROM marketing_campaigns WHERE id = %(campaign)s AND status = 'active' FOR NO KEY UPDATE SKIP LOCKED)

-- name: read_days_used
-- How many attempts these campaigns have used on these days.
SELECT campaign_id, used FROM campaign_days
JOIN unnest(%(campaigns)s::uuid[], %(days)s::date[]) AS wanted (campaign_id, day) USING (campaign_id, day)

-- name: refill_number
-- Refill a number's bucket, to one second of sends at most, and lock it until the end of the transaction. If the clock was
-- set back, the bucket is refilled from now on: it does not wait until the clock has reached the old time again.
INSERT INTO number_rates AS n (phone_number_id, tokens) VALUES (%(number)s, %(mps)s)
ON CONFLICT (phone_number_id) DO UPDATE SET
    tokens = least(%(mps)s, n.tokens + %(mps)s * extract(epoch FROM greatest(interval '0', clock_timestamp() - n.refilled_at))),
    refilled_at = clock_timestamp()
RETURNING floor(tokens)::integer

-- name: count_unclaimed
-- Attempts that are released and not claimed, over the ACTIVE campaigns of a number. The releases of a paused campaign
-- must not use up the cap of the others.
SELECT count(*) FROM releases AS rel JOIN marketing_campaigns AS c ON c.id = rel.campaign_id
WHERE rel.phone_number_id = %(number)s AND c.status = 'active'

-- name: lock_day
-- Lock the budget row of a campaign's day until the end of the transaction.
INSERT INTO campaign_days AS d (campaign_id, day) VALUES (%(campaign)s, %(day)s)
ON CONFLICT (campaign_id, day) DO UPDATE SET used = d.used
RETURNING used

-- name: read_limits
-- The limit and the window of a campaign, read under the lock of its day. A change of them takes the same lock, so no
-- release that began before the change exceeds the new limit, or uses the old window.
SELECT daily_send_limit, start_at IS NULL OR start_at <= now(),
       frequency_capped, cap_wait_days, exclude_campaigns, exclude_recipients,
       window_days, window_from, window_to, quiet_from, quiet_to, window_zone, time_zone
FROM marketing_campaigns WHERE id = %(campaign)s

-- name: release_due
-- Raise the attempt of due recipients. Each is released, or kept back because of its pair (it stays due), deferred or skipped (which use no budget), or failed (no attempt
-- left). One that the frequency cap defers again keeps its attempt, so that waiting for the cap uses up one at most.
-- Rows that another transaction has locked are left to the next step: waiting here would keep the budget row locked.
-- `countries` are open, each until its time in `deadlines`. A campaign that follows its own clock has one, without a name.
WITH fresh AS MATERIALIZED (
    SELECT 'fresh' AS lane, r.id, r.attempt, r.next_attempt_at, r.person, r.repetition, r.template_parameters, '' AS country,
           coalesce(r.scheduled_send_date, r.created_at) AS planned_at,
           r.status = 'queued' AND r.attempt = r.deferred_attempt AS is_deferred
    FROM campaign_recipients AS r
    WHERE NOT %(follows)s AND r.campaign_id = %(campaign)s AND r.attempt = 0 AND r.next_attempt_at <= now()
      AND (r.next_attempt_at, r.id) > (%(fresh_at)s, %(fresh_id)s)
    ORDER BY r.next_attempt_at, r.id LIMIT %(fresh)s
    FOR NO KEY UPDATE OF r SKIP LOCKED
), tried AS MATERIALIZED (
    SELECT 'tried' AS lane, r.id, r.attempt, r.next_attempt_at, r.person, r.repetition, r.template_parameters, '' AS country,
           coalesce(r.scheduled_send_date, r.created_at) AS planned_at,
           r.status = 'queued' AND r.attempt = r.deferred_attempt AS is_deferred
    FROM campaign_recipients AS r
    WHERE NOT %(follows)s AND r.campaign_id = %(campaign)s AND r.attempt > 0 AND r.next_attempt_at <= now()
      AND (r.next_attempt_at, r.id) > (%(tried_at)s, %(tried_id)s)
    ORDER BY r.next_attempt_at, r.id LIMIT %(tried)s
    FOR NO KEY UPDATE OF r SKIP LOCKED
), fresh_there AS MATERIALIZED (
    SELECT found.* FROM unnest(%(countries)s::text[]) AS open (country)
    CROSS JOIN LATERAL (
        SELECT 'fresh' AS lane, r.id, r.attempt, r.next_attempt_at, r.person, r.repetition, r.template_parameters,
               r.window_country AS country, coalesce(r.scheduled_send_date, r.created_at) AS planned_at,
               r.status = 'queued' AND r.attempt = r.deferred_attempt AS is_deferred
        FROM campaign_recipients AS r
        WHERE r.campaign_id = %(campaign)s AND r.window_country = open.country AND r.attempt = 0
          AND r.next_attempt_at <= now() AND (r.next_attempt_at, r.id) > (%(fresh_at)s, %(fresh_id)s)
        ORDER BY r.next_attempt_at, r.id LIMIT %(fresh)s
        FOR NO KEY UPDATE OF r SKIP LOCKED) AS found
    WHERE %(follows)s ORDER BY found.next_attempt_at, found.id LIMIT %(fresh)s
), tried_there AS MATERIALIZED (
    SELECT found.* FROM unnest(%(countries)s::text[]) AS open (country)
    CROSS JOIN LATERAL (
        SELECT 'tried' AS lane, r.id, r.attempt, r.next_attempt_at, r.person, r.repetition, r.template_parameters,
               r.window_country AS country, coalesce(r.scheduled_send_date, r.created_at) AS planned_at,
               r.status = 'queued' AND r.attempt = r.deferred_attempt AS is_deferred
        FROM campaign_recipients AS r
        WHERE r.campaign_id = %(campaign)s AND r.window_country = open.country AND r.attempt > 0
          AND r.next_attempt_at <= now() AND (r.next_attempt_at, r.id) > (%(tried_at)s, %(tried_id)s)
        ORDER BY r.next_attempt_at, r.id LIMIT %(tried)s
        FOR NO KEY UPDATE OF r SKIP LOCKED) AS found
    WHERE %(follows)s ORDER BY found.next_attempt_at, found.id LIMIT %(tried)s
), judged AS MATERIALIZED (
    SELECT r.lane, r.id, r.attempt, r.next_attempt_at, r.person, r.keys, r.planned_at, r.is_deferred,
           open.deadline AS send_before,
           CASE
               WHEN r.attempt >= 62 THEN NULL
               WHEN (EXISTS (SELECT FROM subscriptions AS s WHERE s.person = r.person OFFSET 0)
                     OR r.keys IS NOT NULL
                     AND EXISTS (SELECT FROM subscriptions AS s WHERE s.person = ANY (r.keys) OFFSET 0))
                    AND is_unsubscribed(r.person) THEN 'opted_out'
               WHEN r.repetition > 0
                    OR r.has_twin AND twin_refusal(%(campaign)s, r.id, r.person) = 'same_person' THEN 'same_person'
               WHEN %(exclude_campaigns)s::uuid[] <> '{}'
                    AND is_excluded(r.person, %(exclude_campaigns)s::uuid[], %(exclude_recipients)s) THEN 'excluded'
               WHEN jsonb_typeof(r.template_parameters) NOT IN ('array', 'object', 'null')
                    OR octet_length(r.template_parameters::text) > 262144  -- a job must fit its topic
                   THEN 'template_parameters_invalid'
           END AS refusal
    FROM (
        SELECT due.*, human.keys, human.has_twin
        FROM (SELECT * FROM fresh UNION ALL SELECT * FROM tried
              UNION ALL SELECT * FROM fresh_there UNION ALL SELECT * FROM tried_there) AS due
        CROSS JOIN LATERAL human_of(%(campaign)s, due.id, due.person) AS human OFFSET 0  -- it is judged once
    ) AS r
    JOIN unnest(%(countries)s::text[], %(deadlines)s::timestamptz[]) AS open (country, deadline) USING (country)
), paired AS MATERIALIZED (
    -- Those whose human has another message of the number on its way, or got one a moment ago. They stay due, and no attempt
    -- is spent.
    SELECT j.id FROM judged AS j
    WHERE %(pair_s)s::double precision > 0 AND j.refusal IS NULL AND j.attempt < 62
      -- Most people got nothing a moment ago. For them a search is a fraction of the function.
      AND CASE WHEN EXISTS (
          SELECT FROM person_attempts AS a
          WHERE a.person = ANY (coalesce(j.keys, ARRAY[j.person]))
            AND a.released_at > clock_timestamp() - %(pair_remembered_s)s * interval '1 second' OFFSET 0)
          THEN is_pair_busy(j.person, %(number)s, %(pair_s)s, %(pair_remembered_s)s) ELSE false END
), capped AS MATERIALIZED (
    SELECT j.id, cap_allows_at(j.person, j.id, %(cap_messages)s::integer, %(cap_days)s::integer) AS allowed_at
    FROM judged AS j WHERE %(cap_messages)s::integer IS NOT NULL AND j.refusal IS NULL AND j.attempt < 62
), due AS MATERIALIZED (
    SELECT j.lane, j.id, j.attempt, j.next_attempt_at, j.send_before, j.is_deferred,
           CASE WHEN c.allowed_at > waits.until THEN 'frequency_capped' ELSE j.refusal END AS refusal,
           CASE WHEN c.allowed_at <= waits.until THEN greatest(c.allowed_at, now() + %(outcome_wait)s::interval) END AS held_until
    FROM judged AS j LEFT JOIN capped AS c USING (id)
    CROSS JOIN LATERAL (SELECT j.planned_at + %(cap_wait_days)s::integer * interval '24 hours' AS until) AS waits
    WHERE j.id NOT IN (SELECT id FROM paired)
), changed AS (
    UPDATE campaign_recipients AS r SET
        attempt           = CASE WHEN due.held_until IS NOT NULL AND due.is_deferred THEN r.attempt
                                 ELSE least(62, r.attempt + 1) END,
        deferred_attempt  = CASE WHEN due.held_until IS NULL THEN r.deferred_attempt
                                 WHEN due.is_deferred THEN r.attempt ELSE r.attempt + 1 END,
        deferred_until    = coalesce(due.held_until, r.deferred_until),
        capped_until      = coalesce(due.held_until, r.capped_until),
        skipped_attempt   = CASE WHEN due.refusal IS NULL THEN r.skipped_attempt ELSE r.attempt + 1 END,
        skip_reason       = coalesce(due.refusal, r.skip_reason),
        failed_attempts   = CASE WHEN r.attempt < 62 THEN r.failed_attempts ELSE r.failed_attempts | (1::bigint << 62) END,
        failed_attempt    = CASE WHEN r.attempt < 62 THEN r.failed_attempt ELSE 62 END,
        failed_at         = CASE WHEN r.attempt < 62 THEN r.failed_at ELSE clock_timestamp() END,
        failure_code      = CASE WHEN r.attempt < 62 THEN r.failure_code END,
        failure_text      = CASE WHEN r.attempt < 62 THEN r.failure_text ELSE 'attempts_exhausted' END,
        failure_class     = CASE WHEN r.attempt < 62 THEN r.failure_class ELSE 'never' END,
        failure_backoff_s = CASE WHEN r.attempt < 62 THEN r.failure_backoff_s ELSE 0 END,
        updated_at        = clock_timestamp()
    FROM due WHERE r.id = due.id AND r.attempt = due.attempt
    RETURNING r.id, r.attempt, r.person, r.phone_number, r.user_id, r.template_parameters, r.skip_reason,
              CASE WHEN due.held_until IS NULL THEN r.status ELSE 'deferred' END AS result, due.held_until,
              r.failed_at, r.failure_text, r.failure_class, due.lane, due.next_attempt_at AS was_due_at, due.send_before
), released AS (
    INSERT INTO releases (recipient_id, attempt, campaign_id, phone_number_id, send_before, budget_day)
    SELECT id, attempt, %(campaign)s, %(number)s, send_before, %(day)s FROM changed WHERE result = 'queued'
), remembered AS (
    INSERT INTO person_attempts (person, recipient_id, attempt)
    SELECT person, id, attempt FROM changed
    WHERE result = 'queued' AND NOT EXISTS (SELECT FROM test_sends WHERE campaign_id = %(campaign)s)
), deferred AS (
    -- The attempt of one that is deferred again has a ledger row. It now takes the event with the later time.
    INSERT INTO send_ledger AS l (recipient_id, attempt, campaign_id, budget_day, send_before, token, lease_until,
                                  outcome, outcome_at, event)
    SELECT id, attempt, %(campaign)s, %(day)s, send_before, gen_random_uuid(), clock_timestamp(), 'deferred',
           clock_timestamp(), ledger_event('deferred', %(campaign)s, id, attempt, %(producer)s, NULL, held_until)
    FROM changed WHERE result = 'deferred'
    ON CONFLICT (recipient_id, attempt) DO UPDATE SET token = excluded.token, outcome_at = excluded.outcome_at,
        event = excluded.event, published_at = NULL
), skipped AS (
    INSERT INTO send_ledger (recipient_id, attempt, campaign_id, budget_day, send_before, token, lease_until,
                             outcome, outcome_at, event)
    SELECT id, attempt, %(campaign)s, %(day)s, send_before, gen_random_uuid(), clock_timestamp(),
           'skipped', clock_timestamp(), ledger_event('skipped', %(campaign)s, id, attempt, %(producer)s, skip_reason)
    FROM changed WHERE result = 'skipped'
    ON CONFLICT DO NOTHING
), exhausted AS (
    -- The last attempt already has a ledger row, and its event is applied, or the recipient would not be due. The row now
    -- takes the event of the failure.
    INSERT INTO send_ledger AS l (recipient_id, attempt, campaign_id, budget_day, send_before, token, lease_until,
                                  outcome, outcome_at, event)
    SELECT id, attempt, %(campaign)s, %(day)s, send_before, gen_random_uuid(), clock_timestamp(),
           'rejected', clock_timestamp(), json_build_object(
               'v', 1, 'producer', %(producer)s::text, 'kind', 'rejected', 'campaign_id', %(campaign)s::uuid,
               'recipient_id', id, 'attempt', attempt, 'occurred_at', failed_at, 'received_at', clock_timestamp(),
               'failure', json_build_object('reason', failure_text, 'retry_class', failure_class, 'backoff_s', 0))::text
    FROM changed WHERE result = 'failed'
    ON CONFLICT (recipient_id, attempt) DO UPDATE SET token = excluded.token, outcome = excluded.outcome,
        outcome_at = excluded.outcome_at, event = excluded.event, published_at = NULL
), charged AS (
    UPDATE campaign_days SET used = used + (SELECT count(*) FROM changed WHERE result = 'queued')
    WHERE campaign_id = %(campaign)s AND day = %(day)s
)
SELECT id, attempt, phone_number, user_id, template_parameters, send_before, result, lane, was_due_at FROM changed
UNION ALL
SELECT id, attempt, NULL, NULL, NULL, send_before, 'paired', lane, next_attempt_at FROM judged JOIN paired USING (id)

-- name: spend_tokens
-- Take the released attempts from the number's bucket.
UPDATE number_rates SET tokens = tokens - %(spent)s WHERE phone_number_id = %(number)s

-- name: count_due
-- The recipients of all active campaigns that are still to be released: out of budget, or planned for later. The counters
-- know them, so that no recipient is read.
SELECT coalesce(sum(counted.n), 0)::bigint
FROM marketing_campaigns AS c
CROSS JOIN LATERAL (
    SELECT n FROM campaign_counters WHERE campaign_id = c.id AND dimension = 'funnel' AND key = 'due'
    UNION ALL
    SELECT n FROM campaign_counter_deltas WHERE campaign_id = c.id AND dimension = 'funnel' AND key = 'due'
) AS counted
WHERE c.status = 'active'

-- name: count_released
-- The attempts of all active campaigns that are released or claimed.
SELECT (SELECT count(*) FROM releases AS rel JOIN marketing_campaigns AS c ON c.id = rel.campaign_id
        WHERE c.status = 'active')
     + (SELECT count(*) FROM send_ledger AS l JOIN marketing_campaigns AS c ON c.id = l.campaign_id
        WHERE c.status = 'active' AND l.outcome IS NULL)
