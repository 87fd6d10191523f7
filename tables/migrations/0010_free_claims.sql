-- The breaker of a pair goes by the person, so that all spellings of a phone number share it. A claim skips recipients that
-- somebody else has locked, so one locked row delays one job and no other.

DROP FUNCTION breaker_scopes(text, text, text, text);
CREATE FUNCTION breaker_scopes(number text, person text, template text, language text)
RETURNS TABLE (place integer, scope text, key text) LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    VALUES (1, 'recipient', number || '/' || person), (2, 'template', template || '/' || language),
           (3, 'number', number), (4, 'account', ''), (5, 'endpoint', '')
$$;

CREATE OR REPLACE FUNCTION claim_refusal(in_recipient uuid, in_attempt smallint, in_send_before timestamptz)
RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT CASE
        WHEN NOT installation_is_known() THEN 'paused'
        WHEN r.id IS NULL OR r.attempt <> in_attempt OR r.status <> 'queued' OR r.next_attempt_at IS NOT NULL THEN 'stale'
        WHEN clock_timestamp() >= in_send_before THEN 'expired'
        WHEN c.status = 'cancelled' THEN 'campaign_cancelled'
        WHEN c.status <> 'active' THEN 'paused'
        WHEN is_unsubscribed(r.person) THEN 'opted_out'
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
$$;

CREATE OR REPLACE FUNCTION feed_breakers(
    recipients uuid[], attempts smallint[], letters text[], codes integer[], reasons text[],
    first_s double precision, max_s double precision
) RETURNS void LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
    fed record;
    signal breaker_signal;
    b breakers;
    was breakers;
    tripped text[] := '{}';
BEGIN
    tripped := try_templates(recipients, letters, codes);
    FOR fed IN
        SELECT s.scope, s.key,
               array_agg(ROW(substr(e.letters, s.place, 1), e.code, e.reason, e.id, e.n)::breaker_signal
                         ORDER BY e.line) AS signals
        FROM unnest(recipients, attempts, letters, codes, reasons)
            WITH ORDINALITY AS e (id, n, letters, code, reason, line)
        JOIN campaign_recipients AS r ON r.id = e.id
        JOIN marketing_campaigns AS c ON c.id = r.campaign_id
        CROSS JOIN LATERAL breaker_scopes(c.phone_number_id, r.person, c.template_name, c.language_code) AS s
        LEFT JOIN breakers AS known ON known.scope = s.scope AND known.key = s.key
        WHERE substr(e.letters, s.place, 1) IN ('b', 'f', 'o', 'h') OR known.scope IS NOT NULL
            OR s.scope = 'template' AND s.key = ANY (tripped)
        GROUP BY s.scope, s.key ORDER BY s.scope, s.key
    LOOP
        INSERT INTO breakers AS known (scope, key) VALUES (fed.scope, fed.key)
        ON CONFLICT (scope, key) DO UPDATE SET key = known.key
        RETURNING * INTO b;
        was := b;
        FOREACH signal IN ARRAY fed.signals LOOP
            b := breaker_step(
                b, signal.letter, signal.code, signal.reason,
                coalesce(b.probe_recipient = signal.recipient_id AND b.probe_attempt = signal.attempt, false),
                clock_timestamp(), first_s, max_s);
        END LOOP;
        IF fed.scope = 'template' AND fed.key = ANY (tripped) AND b.opened_at IS NULL THEN
            signal := fed.signals[array_upper(fed.signals, 1)];
            b := breaker_step(b, 'o', signal.code, 'the first sends were all refused: ' || signal.reason, false,
                              clock_timestamp(), first_s, max_s);
        END IF;
        PERFORM write_breaker(b, was);
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION take_probes(
    recipients uuid[], attempts smallint[], deadlines timestamptz[], lease_s double precision
) RETURNS void LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
    job record;
    permits boolean;
BEGIN
    FOR job IN
        SELECT j.id, j.n, c.phone_number_id, r.person, c.template_name, c.language_code
        FROM unnest(recipients, attempts, deadlines) AS j (id, n, deadline)
        JOIN campaign_recipients AS r ON r.id = j.id
        JOIN marketing_campaigns AS c ON c.id = r.campaign_id
        LEFT JOIN releases AS rel ON rel.recipient_id = j.id AND rel.attempt = j.n
        WHERE claim_refusal(j.id, j.n, least(j.deadline, rel.send_before)) = 'breaker_open'
          AND NOT EXISTS (SELECT FROM send_ledger AS l WHERE l.recipient_id = j.id AND l.attempt = j.n)
        ORDER BY j.id
    LOOP
        SELECT bool_and(NOT locked.needs_human AND locked.probe_at <= clock_timestamp()
                        AND (locked.probe_until IS NULL OR locked.probe_until < clock_timestamp()))
        INTO permits
        FROM (
            SELECT b.* FROM breakers AS b
            JOIN breaker_scopes(job.phone_number_id, job.person, job.template_name, job.language_code) AS s
                ON s.scope = b.scope AND s.key = b.key
            WHERE b.opened_at IS NOT NULL
            ORDER BY b.scope, b.key FOR UPDATE OF b
        ) AS locked;
        IF permits THEN
            UPDATE breakers AS b SET
                probe_recipient = job.id, probe_attempt = job.n,
                probe_until = clock_timestamp() + lease_s * interval '1 second'
            FROM breaker_scopes(job.phone_number_id, job.person, job.template_name, job.language_code) AS s
            WHERE s.scope = b.scope AND s.key = b.key AND b.opened_at IS NOT NULL;
        END IF;
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION claim_attempts(
    in_token uuid, recipients uuid[], attempts smallint[], deadlines timestamptz[], lease_s double precision,
    in_producer text
) RETURNS TABLE (recipient_id uuid, attempt smallint, verdict text, event text)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    free uuid[];
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(in_token::text, 0));
    SELECT coalesce(array_agg(f.id), '{}') INTO free FROM (
        SELECT r.id FROM campaign_recipients AS r WHERE r.id = ANY (recipients) ORDER BY r.id FOR NO KEY UPDATE SKIP LOCKED
    ) AS f;
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
            WHEN judged.refusal IS NULL THEN 'claimed'
            WHEN judged.refusal IN ('campaign_cancelled', 'opted_out') THEN 'skipped'
            WHEN judged.refusal = 'breaker_open' THEN 'deferred'
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

-- Pairs that were open under a phone number: they were open for seconds, and the next refusal opens them again.
WITH closed AS (DELETE FROM breakers WHERE scope = 'recipient' RETURNING *)
INSERT INTO breaker_changes (change, scope, key, code, reason, needs_human)
SELECT 'closed', scope, key, code, reason, needs_human FROM closed WHERE opened_at IS NOT NULL;
