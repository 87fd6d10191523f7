-- The rule of a claim is a part of its statement: what all attempts share is read once, after the locks.

DROP FUNCTION claim_refusal(uuid, smallint, timestamptz);

CREATE FUNCTION claim_refusal(in_recipient uuid, in_attempt smallint, in_send_before timestamptz)
RETURNS TABLE (refusal text) LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN NOT installation_is_known() THEN 'paused'
        WHEN r.id IS NULL OR r.attempt <> in_attempt OR r.status <> 'queued' OR r.next_attempt_at IS NOT NULL THEN 'stale'
        WHEN clock_timestamp() >= in_send_before THEN 'expired'
        WHEN c.status = 'cancelled' THEN 'campaign_cancelled'
        WHEN c.status <> 'active' THEN 'paused'
        WHEN EXISTS (SELECT FROM webhook_progress WHERE applied_through < clock_timestamp() - interval '60 seconds')
            THEN 'paused'
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
        CROSS JOIN LATERAL claim_refusal(j.id, j.n, least(j.deadline, rel.send_before)) AS judged
        WHERE judged.refusal = 'breaker_open'
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
        SELECT jobs.*, rule.refusal, l.token, l.outcome, l.event, l.published_at
        FROM jobs LEFT JOIN send_ledger AS l ON l.recipient_id = jobs.id AND l.attempt = jobs.n
        CROSS JOIN LATERAL claim_refusal(jobs.id, jobs.n, jobs.send_before) AS rule
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
        SELECT l.recipient_id AS id, l.attempt AS n, l.campaign_id, l.budget_day, rule.refusal
        FROM unnest(recipients, attempts, tokens) WITH ORDINALITY AS u (id, n, token, line)
        JOIN send_ledger AS l ON l.recipient_id = u.id AND l.attempt = u.n AND l.token = u.token
        CROSS JOIN LATERAL claim_refusal(l.recipient_id, l.attempt, l.send_before) AS rule
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

-- Every release is updated once, when its job is published. With room in its page the update needs no entry in an index.
ALTER TABLE releases SET (fillfactor = 50);
