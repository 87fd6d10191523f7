-- A frequency cap over all campaigns: at most so many messages to one human in so many days.

ALTER TABLE marketing_campaigns
    ADD COLUMN frequency_capped boolean NOT NULL DEFAULT true,
    ADD COLUMN cap_wait_days integer NOT NULL DEFAULT 7 CHECK (cap_wait_days BETWEEN 0 AND 365);
COMMENT ON COLUMN marketing_campaigns.frequency_capped IS 'Whether its messages keep to the frequency cap';
COMMENT ON COLUMN marketing_campaigns.cap_wait_days IS
    'How many days after its planned time a recipient waits for the frequency cap; 0: it is skipped at once';

ALTER TABLE campaign_recipients ADD COLUMN capped_until timestamptz;
COMMENT ON COLUMN campaign_recipients.capped_until IS
    'The time to which the frequency cap deferred it last; it waits for the cap while deferred_until is the same';

-- At most so many messages to one human in so many days, over all campaigns. Without a row there is no cap.
CREATE TABLE frequency_cap (
    is_only    boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    messages   integer NOT NULL CHECK (messages BETWEEN 1 AND 100),
    days       integer NOT NULL CHECK (days BETWEEN 1 AND 30),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The attempts that were released for each person, so that those of a human are found without a search of campaigns.
-- Retention deletes them when they are too old for every cap. What became of an attempt is in the ledger. The attempts of
-- test sends are not here.
CREATE TABLE person_attempts (
    person       text NOT NULL,
    released_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    recipient_id uuid NOT NULL,
    attempt      smallint NOT NULL CHECK (attempt BETWEEN 1 AND 62),
    PRIMARY KEY (person, released_at, recipient_id, attempt)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 100000);

-- The attempts of a human that count towards the cap, without those of one recipient (domain/frequency.py has the rules).
-- A release and its outcome are less than three days apart, because a job expires with its day or its window. An outcome
-- that retention has deleted from the ledger is still in the row.
CREATE FUNCTION counted_attempts(in_person text, in_recipient uuid, in_days integer)
RETURNS TABLE (state text, posted_at timestamptz) LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN l.recipient_id IS NULL AND rel.recipient_id IS NOT NULL THEN 'released'
                WHEN l.recipient_id IS NOT NULL AND l.outcome IS NULL THEN 'claimed' ELSE 'posted' END,
           coalesce(l.outcome_at, a.released_at)
    FROM keys_of(in_person) AS k (person)
    JOIN person_attempts AS a ON a.person = k.person
        AND a.released_at > statement_timestamp() - (in_days + 3) * interval '24 hours'
    LEFT JOIN send_ledger AS l ON l.recipient_id = a.recipient_id AND l.attempt = a.attempt
    LEFT JOIN releases AS rel ON rel.recipient_id = a.recipient_id AND rel.attempt = a.attempt
    LEFT JOIN campaign_recipients AS r ON r.id = a.recipient_id
    WHERE a.recipient_id <> in_recipient
      AND coalesce(r.failed_attempts, 0) & (1::bigint << a.attempt::integer) = 0
      AND CASE
          WHEN l.outcome IN ('accepted', 'unknown') THEN l.outcome_at > statement_timestamp() - in_days * interval '24 hours'
          WHEN l.outcome IS NOT NULL THEN false
          WHEN l.recipient_id IS NOT NULL THEN true
          WHEN rel.recipient_id IS NOT NULL THEN rel.send_before > statement_timestamp()
          ELSE r.accepted_attempts & (1::bigint << a.attempt::integer) <> 0
               AND a.released_at > statement_timestamp() - in_days * interval '24 hours'
      END
$$;

-- When the cap allows a message to this recipient: NULL if it does now, -infinity as soon as other attempts have an
-- outcome. Releases decide by it, one after the other, so each sees the attempts that the others have released.
CREATE FUNCTION cap_allows_at(in_person text, in_recipient uuid, in_messages integer, in_days integer)
RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN count(*) FILTER (WHERE state = 'posted') >= in_messages THEN
            (array_agg(posted_at ORDER BY posted_at DESC) FILTER (WHERE state = 'posted'))[in_messages]
            + in_days * interval '24 hours'
        WHEN count(*) >= in_messages THEN '-infinity' END
    FROM counted_attempts(in_person, in_recipient, in_days)
$$;

-- Whether the other attempts of the human that were claimed fill the cap: a link or a lower cap may have come since the
-- release.
CREATE FUNCTION is_capped(in_person text, in_recipient uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM frequency_cap AS cap
        WHERE cap.messages <= (SELECT count(*) FROM counted_attempts(in_person, in_recipient, cap.days)
                               WHERE state <> 'released'))
$$;

-- What was released before the upgrade counts too.
INSERT INTO person_attempts (person, released_at, recipient_id, attempt)
SELECT r.person, coalesce(l.outcome_at, l.claimed_at), l.recipient_id, l.attempt
FROM send_ledger AS l JOIN campaign_recipients AS r ON r.id = l.recipient_id
WHERE (l.outcome IN ('accepted', 'unknown') AND l.outcome_at > clock_timestamp() - interval '30 days' OR l.outcome IS NULL)
  AND NOT EXISTS (SELECT FROM test_sends AS t WHERE t.campaign_id = l.campaign_id)
UNION ALL
SELECT r.person, rel.released_at, rel.recipient_id, rel.attempt
FROM releases AS rel JOIN campaign_recipients AS r ON r.id = rel.recipient_id
WHERE NOT EXISTS (SELECT FROM test_sends AS t WHERE t.campaign_id = rel.campaign_id)
ON CONFLICT DO NOTHING;

CREATE OR REPLACE FUNCTION claim_refusal(in_recipient uuid, in_attempt smallint, in_send_before timestamptz)
RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT CASE
        WHEN NOT installation_is_known() THEN 'paused'
        WHEN r.id IS NULL OR r.attempt <> in_attempt OR r.status <> 'queued' OR r.next_attempt_at IS NOT NULL THEN 'stale'
        WHEN clock_timestamp() >= in_send_before THEN 'expired'
        WHEN c.status = 'cancelled' THEN 'campaign_cancelled'
        WHEN c.status <> 'active' THEN 'paused'
        WHEN is_unsubscribed(r.person) THEN 'opted_out'
        WHEN twin.refusal IS NOT NULL THEN twin.refusal
        WHEN c.frequency_capped AND EXISTS (SELECT FROM frequency_cap) AND is_capped(r.person, r.id)
            THEN 'frequency_capped'
        WHEN EXISTS (SELECT FROM breakers WHERE opened_at IS NOT NULL) AND EXISTS (
            SELECT FROM breaker_scopes(c.phone_number_id, r.person, c.template_name, c.language_code) AS s
            JOIN breakers AS b ON b.scope = s.scope AND b.key = s.key
            WHERE b.opened_at IS NOT NULL
              AND (b.probe_recipient, b.probe_attempt) IS DISTINCT FROM (in_recipient, in_attempt))
            THEN 'breaker_open'
    END
    FROM (VALUES (true)) AS always
    LEFT JOIN campaign_recipients AS r ON r.id = in_recipient
    LEFT JOIN marketing_campaigns AS c ON c.id = r.campaign_id
    LEFT JOIN LATERAL twin_refusal(r.campaign_id, r.id, r.person) AS twin (refusal) ON true
$$;

CREATE OR REPLACE FUNCTION claim_attempts(
    in_token uuid, recipients uuid[], attempts smallint[], deadlines timestamptz[], lease_s double precision,
    in_producer text
) RETURNS TABLE (recipient_id uuid, attempt smallint, verdict text, event text)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    free uuid[];
    repeated uuid[];
    twins uuid[];
    busy uuid[];
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(in_token::text, 0));
    SELECT coalesce(array_agg(r.id), '{}'), coalesce(array_agg(t.id), '{}') INTO repeated, twins
    FROM campaign_recipients AS r CROSS JOIN LATERAL twins_of(r.campaign_id, r.id, r.person) AS t (id)
    WHERE r.id = ANY (recipients) AND EXISTS (SELECT FROM person_links AS l WHERE l.person = r.person);
    SELECT coalesce(array_agg(f.id), '{}') INTO free FROM (
        SELECT r.id FROM campaign_recipients AS r WHERE r.id = ANY (recipients || twins)
        ORDER BY r.id FOR NO KEY UPDATE SKIP LOCKED
    ) AS f;
    SELECT coalesce(array_agg(pair.id), '{}') INTO busy FROM unnest(repeated, twins) AS pair (id, twin)
    WHERE pair.twin <> ALL (free) OR pair.twin < pair.id AND pair.twin = ANY (recipients);
    IF EXISTS (SELECT FROM breakers WHERE opened_at IS NOT NULL) THEN
        PERFORM take_probes(array_agg(j.id), array_agg(j.n), array_agg(j.deadline), lease_s)
        FROM unnest(recipients, attempts, deadlines) AS j (id, n, deadline)
        WHERE j.id = ANY (free) HAVING count(*) > 0;
    END IF;
    RETURN QUERY
    WITH jobs AS (
        SELECT DISTINCT ON (j.id, j.n)
            j.id, j.n, r.campaign_id, r.person, r.attempt AS newest, least(j.deadline, rel.send_before) AS send_before,
            coalesce(rel.budget_day, (clock_timestamp() AT TIME ZONE 'UTC')::date) AS budget_day
        FROM unnest(recipients, attempts, deadlines) AS j (id, n, deadline)
        JOIN campaign_recipients AS r ON r.id = j.id
        LEFT JOIN releases AS rel ON rel.recipient_id = j.id AND rel.attempt = j.n
        ORDER BY j.id, j.n
    ), judged AS MATERIALIZED (
        SELECT jobs.*, claim_refusal(jobs.id, jobs.n, jobs.send_before) AS refusal,
               l.token, l.outcome, l.event, l.published_at
        FROM jobs LEFT JOIN send_ledger AS l ON l.recipient_id = jobs.id AND l.attempt = jobs.n
    ), decided AS MATERIALIZED (
        SELECT judged.*, CASE
            WHEN judged.token = in_token AND coalesce(judged.outcome, 'unknown') = 'unknown' THEN 'claimed'
            WHEN judged.token = in_token AND judged.published_at IS NULL THEN judged.outcome
            WHEN judged.token IS NOT NULL THEN 'held'
            WHEN judged.id <> ALL (free) THEN 'busy'
            WHEN judged.refusal = 'twin_open' OR judged.refusal IS NULL AND judged.id = ANY (busy) THEN 'busy'
            WHEN judged.refusal IS NULL THEN 'claimed'
            WHEN judged.refusal IN ('campaign_cancelled', 'opted_out', 'same_person') THEN 'skipped'
            WHEN judged.refusal IN ('breaker_open', 'frequency_capped') THEN 'deferred'
            ELSE judged.refusal END AS verdict,
            -- A pair is not known to the release, so its message must not be due before the breaker's next probe.
            CASE WHEN judged.refusal = 'breaker_open' THEN (
                SELECT max(b.probe_at) FROM breakers AS b JOIN marketing_campaigns AS c ON c.id = judged.campaign_id
                WHERE b.scope = 'recipient' AND b.key = c.phone_number_id || '/' || judged.person
                  AND b.opened_at IS NOT NULL) END AS due_at
        FROM judged
    ), inserted AS (
        INSERT INTO send_ledger AS l (recipient_id, attempt, campaign_id, budget_day, send_before, token,
                                      claimed_at, lease_until, outcome, outcome_at, event)
        SELECT d.id, d.n, d.campaign_id, d.budget_day, d.send_before, in_token,
               clock_timestamp(), clock_timestamp() + lease_s * interval '1 second',
               CASE WHEN d.verdict <> 'claimed' THEN d.verdict END,
               CASE WHEN d.verdict <> 'claimed' THEN clock_timestamp() END,
               CASE WHEN d.verdict <> 'claimed'
                   THEN ledger_event(d.verdict, d.campaign_id, d.id, d.n, in_producer, d.refusal, d.due_at) END
        FROM decided AS d
        WHERE d.token IS NULL AND d.verdict IN ('claimed', 'expired', 'skipped', 'deferred')
        ORDER BY d.id, d.n
        ON CONFLICT DO NOTHING
        RETURNING l.recipient_id, l.attempt, l.campaign_id, l.budget_day, l.outcome, l.event
    ), given AS (
        SELECT give_budget_back(array_agg(i.campaign_id), array_agg(i.budget_day))
        FROM inserted AS i WHERE i.outcome IS NOT NULL HAVING count(*) > 0
    ), forgotten AS (
        -- Not where this IS the newest attempt but has another status: an old attempt's late failure can make it
        -- queued again, and then it must be published again.
        -- One that somebody else has locked is left to the leader (forget_answered).
        DELETE FROM releases AS rel USING (
            SELECT over.recipient_id, over.attempt FROM decided AS d
            JOIN releases AS over ON over.recipient_id = d.id AND over.attempt = d.n
            WHERE d.verdict IN ('claimed', 'expired', 'skipped', 'deferred', 'held') OR d.n < d.newest
            FOR UPDATE OF over SKIP LOCKED
        ) AS gone
        WHERE rel.recipient_id = gone.recipient_id AND rel.attempt = gone.attempt
    )
    SELECT d.id, d.n,
           CASE WHEN d.verdict = 'claimed' AND EXISTS (
                SELECT FROM breakers AS b WHERE b.probe_recipient = d.id AND b.probe_attempt = d.n)
                THEN 'probe' ELSE d.verdict END,
           CASE WHEN d.verdict IN ('expired', 'skipped', 'deferred') THEN coalesce(i.event, d.event) END
    FROM decided AS d
    LEFT JOIN inserted AS i ON i.recipient_id = d.id AND i.attempt = d.n
    LEFT JOIN given ON true
    WHERE d.token IS NOT NULL OR i.recipient_id IS NOT NULL
       OR d.verdict NOT IN ('claimed', 'expired', 'skipped', 'deferred');
END $$;

CREATE OR REPLACE FUNCTION renew_claims(
    recipients uuid[], attempts smallint[], tokens uuid[], lease_s double precision, in_producer text
) RETURNS TABLE (recipient_id uuid, attempt smallint, verdict text, event text)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    free bigint[];
BEGIN
    SELECT coalesce(array_agg(f.line), '{}') INTO free FROM (
        SELECT u.line FROM send_ledger AS l
        JOIN unnest(recipients, attempts) WITH ORDINALITY AS u (id, n, line) ON l.recipient_id = u.id AND l.attempt = u.n
        ORDER BY l.recipient_id, l.attempt FOR NO KEY UPDATE OF l SKIP LOCKED
    ) AS f;
    IF EXISTS (SELECT FROM breakers WHERE probe_until IS NOT NULL) THEN  -- a probe keeps its place while it waits
        WITH probed AS MATERIALIZED (
            SELECT b.scope, b.key FROM breakers AS b
            JOIN unnest(recipients, attempts, tokens) WITH ORDINALITY AS u (id, n, token, line)
                ON b.probe_recipient = u.id AND b.probe_attempt = u.n
            JOIN send_ledger AS l ON l.recipient_id = u.id AND l.attempt = u.n AND l.token = u.token
            WHERE l.outcome IS NULL AND u.line = ANY (free)
            ORDER BY b.scope, b.key FOR UPDATE OF b
        )
        UPDATE breakers AS b SET probe_until = clock_timestamp() + lease_s * interval '1 second'
        FROM probed WHERE b.scope = probed.scope AND b.key = probed.key;
    END IF;
    RETURN QUERY
    WITH judged AS MATERIALIZED (
        SELECT l.recipient_id AS id, l.attempt AS n, l.campaign_id, l.budget_day,
               claim_refusal(l.recipient_id, l.attempt, l.send_before) AS refusal
        FROM unnest(recipients, attempts, tokens) WITH ORDINALITY AS u (id, n, token, line)
        JOIN send_ledger AS l ON l.recipient_id = u.id AND l.attempt = u.n AND l.token = u.token
        WHERE l.outcome IS NULL AND u.line = ANY (free)
    ), decided AS MATERIALIZED (
        SELECT judged.*, CASE
            WHEN judged.refusal IS NULL THEN NULL
            WHEN judged.refusal IN ('paused', 'breaker_open', 'twin_open', 'frequency_capped') THEN 'deferred'
            WHEN judged.refusal IN ('campaign_cancelled', 'opted_out', 'same_person') THEN 'skipped'
            ELSE 'expired' END AS new_outcome
        FROM judged
    ), changed AS (
        UPDATE send_ledger AS l SET
            lease_until = CASE WHEN d.new_outcome IS NULL
                THEN clock_timestamp() + lease_s * interval '1 second' ELSE l.lease_until END,
            outcome = d.new_outcome,
            outcome_at = CASE WHEN d.new_outcome IS NOT NULL THEN clock_timestamp() END,
            event = CASE WHEN d.new_outcome IS NOT NULL
                THEN ledger_event(d.new_outcome, d.campaign_id, d.id, d.n, in_producer, d.refusal) END
        FROM decided AS d WHERE l.recipient_id = d.id AND l.attempt = d.n
        RETURNING l.recipient_id, l.attempt, l.campaign_id, l.budget_day, l.outcome, l.event
    ), given AS (
        SELECT give_budget_back(array_agg(c.campaign_id), array_agg(c.budget_day))
        FROM changed AS c WHERE c.outcome IS NOT NULL HAVING count(*) > 0
    )
    SELECT c.recipient_id, c.attempt, coalesce(c.outcome, 'renewed'), c.event
    FROM changed AS c LEFT JOIN given ON true
    UNION ALL
    SELECT u.id, u.n, 'busy', NULL FROM unnest(recipients, attempts) WITH ORDINALITY AS u (id, n, line)
    JOIN send_ledger AS l ON l.recipient_id = u.id AND l.attempt = u.n
    WHERE u.line <> ALL (free);
END $$;

CREATE OR REPLACE FUNCTION skip_counter_key(skip_reason text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN skip_reason IN ('opted_out', 'campaign_cancelled', 'same_person', 'template_parameters_invalid',
                             'frequency_capped')
            THEN skip_reason
        ELSE 'unknown'
    END
$$;

CREATE FUNCTION wait_counter_key(
    status text, next_attempt_at timestamptz, attempt smallint, deferred_attempt smallint, capped_until timestamptz,
    retry_attempt smallint, failure_class text
) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN next_attempt_at IS NULL THEN NULL
        WHEN status = 'pending' THEN 'planned'
        WHEN status = 'queued' AND attempt = deferred_attempt THEN
            CASE WHEN next_attempt_at = capped_until THEN 'frequency_cap' ELSE 'deferred' END
        WHEN status = 'queued' THEN 'expired'
        WHEN status = 'unknown' THEN 'requested_unknown'
        WHEN attempt = retry_attempt THEN 'requested'
        WHEN failure_class = 'held_back' THEN 'held_back'
        ELSE 'backoff'
    END
$$;

DO $do$
DECLARE
    source record;
BEGIN
    FOR source IN
        SELECT * FROM (VALUES
            ('insert', 'SELECT 1 AS sign, * FROM new_rows'),
            ('update', 'SELECT 1 AS sign, * FROM new_rows UNION ALL SELECT -1, * FROM old_rows'),
            ('delete', 'SELECT -1 AS sign, * FROM old_rows')) AS s (verb, rows)
    LOOP
        EXECUTE format($create$
            CREATE OR REPLACE FUNCTION count_recipients_%1$s() RETURNS trigger LANGUAGE plpgsql AS $body$
            BEGIN
                INSERT INTO campaign_counter_deltas (campaign_id, dimension, key, n)
                WITH grouped AS MATERIALIZED (
                    SELECT campaign_id, status, sent_at IS NOT NULL AS is_sent, delivered_at IS NOT NULL AS is_delivered,
                           read_at IS NOT NULL AS is_read, replied_at IS NOT NULL AS is_replied,
                           wait_counter_key(status, next_attempt_at, attempt, deferred_attempt, capped_until,
                                            retry_attempt, failure_class) AS wait, window_country,
                           CASE status WHEN 'failed' THEN failure_counter_key(failure_code, failure_text)
                                       WHEN 'skipped' THEN skip_counter_key(skip_reason) END AS reason,
                           sum(sign) AS n
                    FROM (%2$s) AS changed GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9)
                SELECT campaign_id, dimension, key, n
                FROM (
                    SELECT campaign_id,
                           sum(n) AS total,
                           sum(n) FILTER (WHERE is_sent) AS sent,
                           sum(n) FILTER (WHERE is_delivered) AS delivered,
                           sum(n) FILTER (WHERE is_read) AS read,
                           sum(n) FILTER (WHERE is_replied) AS replied,
                           sum(n) FILTER (WHERE status IN ('failed', 'unknown') AND wait IS NOT NULL) AS retrying,
                           sum(n) FILTER (WHERE wait IS NOT NULL) AS due
                    FROM grouped GROUP BY campaign_id) AS sums
                CROSS JOIN LATERAL (VALUES
                    ('funnel', 'total', total), ('funnel', 'sent', sent), ('funnel', 'delivered', delivered),
                    ('funnel', 'read', read), ('funnel', 'replied', replied), ('funnel', 'retrying', retrying),
                    ('funnel', 'due', due)
                ) AS keyed (dimension, key, n)
                WHERE n <> 0
                UNION ALL
                SELECT campaign_id, 'status', status, sum(n) FROM grouped
                GROUP BY campaign_id, status HAVING sum(n) <> 0
                UNION ALL
                SELECT campaign_id, CASE status WHEN 'failed' THEN 'failure' ELSE 'skip' END, reason, sum(n)
                FROM grouped WHERE reason IS NOT NULL GROUP BY 1, 2, 3 HAVING sum(n) <> 0
                UNION ALL
                SELECT campaign_id, 'wait', wait, sum(n) FROM grouped
                WHERE wait IS NOT NULL GROUP BY campaign_id, wait HAVING sum(n) <> 0
                UNION ALL
                SELECT campaign_id, 'window', window_country, sum(n) FROM grouped
                WHERE window_country IS NOT NULL AND wait NOT IN ('backoff', 'held_back', 'frequency_cap')
                GROUP BY campaign_id, window_country HAVING sum(n) <> 0;
                RETURN NULL;
            END $body$ $create$, source.verb, source.rows);
    END LOOP;
END $do$;

DROP FUNCTION wait_counter_key(text, timestamptz, smallint, smallint, smallint, text);
