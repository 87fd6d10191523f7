-- The claim, its renewal and its settlement. Each is ONE call in autocommit, so that no client, however frozen, holds a
-- lock or leaves a transaction open; and each is a volatile PL/pgSQL function, so that what it decides is read with a
-- snapshot taken AFTER it has waited for its locks: a single plain statement would go on with the old one, and claim for
-- a campaign that was paused meanwhile. Campaign rows are never locked: sixteen claimers would hold a pause off.

-- The event of an attempt that was not sent, or may not have been, as the JSON that is published byte for byte.
CREATE FUNCTION ledger_event(
    kind text, in_campaign uuid, in_recipient uuid, in_attempt smallint, in_producer text, reason text DEFAULT NULL
) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT json_strip_nulls(json_build_object(
        'v', 1, 'producer', in_producer, 'kind', kind, 'campaign_id', in_campaign, 'recipient_id', in_recipient,
        'attempt', in_attempt, 'occurred_at', clock_timestamp(), 'received_at', clock_timestamp(),
        'skip_reason', CASE WHEN kind = 'skipped' THEN reason END,
        'not_before', CASE WHEN kind IN ('deferred', 'expired') THEN clock_timestamp() END))::text
$$;

-- Why this attempt must not be posted now; NULL: it may. The one place for these conditions.
CREATE FUNCTION claim_refusal(in_recipient uuid, in_attempt smallint, in_send_before timestamptz)
RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT CASE
        WHEN r.id IS NULL OR r.attempt <> in_attempt OR r.status <> 'queued' OR r.next_attempt_at IS NOT NULL THEN 'stale'
        WHEN clock_timestamp() >= in_send_before THEN 'expired'
        WHEN c.status = 'cancelled' THEN 'campaign_cancelled'
        WHEN c.status <> 'active' THEN 'paused'
        WHEN EXISTS (SELECT FROM subscriptions AS s WHERE s.person = r.phone_number AND NOT s.subscribed)
            THEN 'opted_out'
    END
    FROM (VALUES (true)) AS always
    LEFT JOIN campaign_recipients AS r ON r.id = in_recipient
    LEFT JOIN marketing_campaigns AS c ON c.id = r.campaign_id
$$;

-- The daily budget of attempts that were surely not sent, each given back once by its caller.
CREATE FUNCTION give_budget_back(campaigns uuid[], days date[]) RETURNS void LANGUAGE sql VOLATILE AS $$
    WITH returned AS (
        SELECT u.campaign_id, u.day, count(*) AS n
        FROM unnest(campaigns, days) AS u (campaign_id, day) GROUP BY 1, 2
    ), locked AS MATERIALIZED (
        SELECT d.campaign_id, d.day, returned.n
        FROM campaign_days AS d JOIN returned USING (campaign_id, day)
        ORDER BY 1, 2 FOR NO KEY UPDATE OF d
    )
    UPDATE campaign_days AS d SET used = greatest(0, d.used - locked.n)
    FROM locked WHERE d.campaign_id = locked.campaign_id AND d.day = locked.day
$$;

-- Claims or refuses attempts. Verdicts: claimed; expired, skipped (refused for good, with the event, settled in the
-- ledger); paused (nothing written); stale (not the newest attempt, or answered meanwhile: nothing to do); held (claimed
-- or refused before, by somebody else). A second call with the same token finds what the first one did, so a claim whose
-- answer was lost is read back by repeating it.
CREATE FUNCTION claim_attempts(
    in_token uuid, recipients uuid[], attempts smallint[], deadlines timestamptz[], lease_s double precision,
    in_producer text
) RETURNS TABLE (recipient_id uuid, attempt smallint, verdict text, event text)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
    PERFORM FROM campaign_recipients AS r WHERE r.id = ANY (recipients) ORDER BY r.id FOR NO KEY UPDATE;
    RETURN QUERY
    WITH jobs AS (
        SELECT DISTINCT ON (j.id, j.n)
            j.id, j.n, r.campaign_id, r.attempt AS newest, least(j.deadline, rel.send_before) AS send_before,
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
            WHEN judged.token = in_token AND judged.outcome IS NULL THEN 'claimed'
            WHEN judged.token = in_token AND judged.published_at IS NULL THEN judged.outcome
            WHEN judged.token IS NOT NULL THEN 'held'
            WHEN judged.refusal IS NULL THEN 'claimed'
            WHEN judged.refusal IN ('campaign_cancelled', 'opted_out') THEN 'skipped'
            ELSE judged.refusal END AS verdict
        FROM judged
    ), inserted AS (
        INSERT INTO send_ledger AS l (recipient_id, attempt, campaign_id, budget_day, send_before, token,
                                      claimed_at, lease_until, outcome, outcome_at, event)
        SELECT d.id, d.n, d.campaign_id, d.budget_day, d.send_before, in_token,
               clock_timestamp(), clock_timestamp() + lease_s * interval '1 second',
               CASE WHEN d.verdict <> 'claimed' THEN d.verdict END,
               CASE WHEN d.verdict <> 'claimed' THEN clock_timestamp() END,
               CASE WHEN d.verdict <> 'claimed'
                   THEN ledger_event(d.verdict, d.campaign_id, d.id, d.n, in_producer, d.refusal) END
        FROM decided AS d
        WHERE d.token IS NULL AND d.verdict IN ('claimed', 'expired', 'skipped')
        ORDER BY d.id, d.n
        ON CONFLICT DO NOTHING
        RETURNING l.recipient_id, l.attempt, l.campaign_id, l.budget_day, l.outcome, l.event
    ), given AS (
        SELECT give_budget_back(array_agg(i.campaign_id), array_agg(i.budget_day))
        FROM inserted AS i WHERE i.outcome IS NOT NULL HAVING count(*) > 0
    ), forgotten AS (
        -- Not where this IS the newest attempt but has another status: an old attempt's late failure can make it
        -- queued again, and then it must be published again.
        DELETE FROM releases AS rel USING decided AS d
        WHERE rel.recipient_id = d.id AND rel.attempt = d.n
          AND (d.verdict IN ('claimed', 'expired', 'skipped', 'held') OR d.n < d.newest)
    )
    SELECT d.id, d.n, d.verdict, CASE WHEN d.verdict IN ('expired', 'skipped') THEN coalesce(i.event, d.event) END
    FROM decided AS d
    LEFT JOIN inserted AS i ON i.recipient_id = d.id AND i.attempt = d.n
    LEFT JOIN given ON true
    WHERE d.token IS NOT NULL OR i.recipient_id IS NOT NULL OR d.verdict NOT IN ('claimed', 'expired', 'skipped');
END $$;

-- Renews claims by the same conditions, or settles them as surely not sent. Verdicts: renewed; deferred, expired, skipped
-- (settled, with the event). A claim that is not ours any more, or has its outcome, is not returned at all.
CREATE FUNCTION renew_claims(
    recipients uuid[], attempts smallint[], tokens uuid[], lease_s double precision, in_producer text
) RETURNS TABLE (recipient_id uuid, attempt smallint, verdict text, event text)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
    PERFORM FROM send_ledger AS l
    JOIN unnest(recipients, attempts) AS u (id, n) ON l.recipient_id = u.id AND l.attempt = u.n
    ORDER BY l.recipient_id, l.attempt FOR NO KEY UPDATE OF l;
    RETURN QUERY
    WITH judged AS MATERIALIZED (
        SELECT l.recipient_id AS id, l.attempt AS n, l.campaign_id, l.budget_day,
               claim_refusal(l.recipient_id, l.attempt, l.send_before) AS refusal
        FROM unnest(recipients, attempts, tokens) AS u (id, n, token)
        JOIN send_ledger AS l ON l.recipient_id = u.id AND l.attempt = u.n AND l.token = u.token
        WHERE l.outcome IS NULL
    ), decided AS MATERIALIZED (
        SELECT judged.*, CASE
            WHEN judged.refusal IS NULL THEN NULL
            WHEN judged.refusal = 'paused' THEN 'deferred'
            WHEN judged.refusal IN ('campaign_cancelled', 'opted_out') THEN 'skipped'
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
    FROM changed AS c LEFT JOIN given ON true;
END $$;

-- Writes answers. Only the owner of the token may, and only over no outcome, or over an `unknown` that the sweep declared
-- while the owner was frozen: the answer is the better knowledge, and is published after it. Returns what was written.
CREATE FUNCTION settle_attempts(
    recipients uuid[], attempts smallint[], tokens uuid[], outcomes text[], wamids text[], events text[]
) RETURNS TABLE (recipient_id uuid, attempt smallint)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
    PERFORM FROM send_ledger AS l
    JOIN unnest(recipients, attempts) AS u (id, n) ON l.recipient_id = u.id AND l.attempt = u.n
    ORDER BY l.recipient_id, l.attempt FOR NO KEY UPDATE OF l;
    RETURN QUERY
    WITH changed AS (
        UPDATE send_ledger AS l SET
            outcome = u.outcome, outcome_at = clock_timestamp(), wamid = u.wamid, event = u.event, published_at = NULL
        FROM unnest(recipients, attempts, tokens, outcomes, wamids, events) AS u (id, n, token, outcome, wamid, event)
        WHERE l.recipient_id = u.id AND l.attempt = u.n AND l.token = u.token
          AND (l.outcome IS NULL OR (l.outcome = 'unknown' AND u.outcome <> 'unknown'))
        RETURNING l.recipient_id, l.attempt, l.campaign_id, l.budget_day, l.outcome
    ), given AS (
        SELECT give_budget_back(array_agg(c.campaign_id), array_agg(c.budget_day))
        FROM changed AS c WHERE c.outcome IN ('deferred', 'expired', 'skipped') HAVING count(*) > 0
    )
    SELECT c.recipient_id, c.attempt FROM changed AS c LEFT JOIN given ON true;
END $$;
