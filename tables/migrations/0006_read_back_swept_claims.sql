-- A claim whose answer comes, or is read back by its token, only after the sweep has declared it unknown is still its
-- owner's, who has posted nothing: it is claimed, so that the owner sees the lease over and settles it as not sent. Before,
-- the read-back was answered `held`, or `unknown` while that was not published yet, which no sender understands.
CREATE OR REPLACE FUNCTION claim_attempts(
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
            WHEN judged.token = in_token AND coalesce(judged.outcome, 'unknown') = 'unknown' THEN 'claimed'
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
