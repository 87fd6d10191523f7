-- A human is judged by fewer calls: the searches that most people need are parts of the statements, and a human with links is
-- found by searches of indexes. With a plan of stale statistics, a claim read the whole campaign for each human with a link.

CREATE FUNCTION person_keys(in_person text) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    near text[] := ARRAY(
        SELECT l.linked_to FROM person_links AS l WHERE l.person = in_person ORDER BY l.linked_to LIMIT 17);
BEGIN
    IF NOT EXISTS (SELECT FROM person_links AS l
                   WHERE l.person = ANY (near) AND l.linked_to <> in_person AND l.linked_to <> ALL (near)) THEN
        RETURN in_person || array_remove(near, in_person);
    END IF;
    RETURN ARRAY(SELECT DISTINCT person FROM reach_of(in_person));
END $$;

CREATE OR REPLACE FUNCTION keys_of(in_person text) RETURNS SETOF text LANGUAGE sql STABLE AS $$
    SELECT unnest(person_keys(in_person))
$$;

CREATE OR REPLACE FUNCTION sources_out(in_person text) RETURNS SETOF text LANGUAGE sql STABLE AS $$
    WITH stated AS MATERIALIZED (
        SELECT k.same_account, s.source, s.subscribed, s.occurred_at, s.opted_out_at
        FROM reach_of(in_person) AS k
        -- OFFSET: one search by index for each key. A plan of stale statistics reads all statements.
        CROSS JOIN LATERAL (SELECT * FROM subscriptions AS every WHERE every.person = k.person OFFSET 0) AS s
    )
    SELECT DISTINCT source FROM stated AS out WHERE opted_out_at IS NOT NULL AND NOT EXISTS (
        SELECT FROM stated AS back
        WHERE back.source = out.source AND back.same_account AND back.subscribed AND back.occurred_at > out.opted_out_at)
$$;

CREATE OR REPLACE FUNCTION is_unsubscribed(in_person text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
    keys text[] := person_keys(in_person);
BEGIN
    -- Most people have no statement under any key. For them the searches by index are a fraction of the query.
    IF NOT EXISTS (SELECT FROM subscriptions AS s WHERE s.person = ANY (keys)) THEN
        RETURN false;
    END IF;
    RETURN EXISTS (SELECT FROM sources_out(in_person));
END $$;

CREATE OR REPLACE FUNCTION is_excluded(in_person text, campaigns uuid[], recipients text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM keys_of(in_person) AS k (person) CROSS JOIN unnest(campaigns) AS other (id)
        CROSS JOIN LATERAL (  -- OFFSET: one search by index for each key and campaign
            SELECT every.status FROM campaign_recipients AS every
            WHERE every.campaign_id = other.id AND every.person = k.person OFFSET 0) AS r
        WHERE CASE recipients
            WHEN 'all' THEN true
            WHEN 'sent' THEN r.status IN ('sent', 'delivered', 'read', 'unknown')
            WHEN 'delivered' THEN r.status IN ('delivered', 'read')
            ELSE r.status = 'read' END)
$$;

CREATE OR REPLACE FUNCTION counted_attempts(in_person text, in_recipient uuid, in_days integer)
RETURNS TABLE (state text, posted_at timestamptz) LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN l.recipient_id IS NULL AND rel.recipient_id IS NOT NULL THEN 'released'
                WHEN l.recipient_id IS NOT NULL AND l.outcome IS NULL THEN 'claimed' ELSE 'posted' END,
           coalesce(l.outcome_at, a.released_at)
    FROM keys_of(in_person) AS k (person)
    -- OFFSET: from the few attempts of the human to their rows. With plain joins, a plan of stale statistics reads a table.
    CROSS JOIN LATERAL (
        SELECT * FROM person_attempts AS every
        WHERE every.person = k.person
          AND every.released_at > statement_timestamp() - (in_days + 3) * interval '24 hours' OFFSET 0) AS a
    LEFT JOIN LATERAL (
        SELECT * FROM send_ledger AS every
        WHERE every.recipient_id = a.recipient_id AND every.attempt = a.attempt OFFSET 0) AS l ON true
    LEFT JOIN LATERAL (
        SELECT * FROM releases AS every
        WHERE every.recipient_id = a.recipient_id AND every.attempt = a.attempt OFFSET 0) AS rel ON true
    LEFT JOIN LATERAL (
        SELECT * FROM campaign_recipients AS every WHERE every.id = a.recipient_id OFFSET 0) AS r ON true
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

CREATE OR REPLACE FUNCTION is_pair_busy(
    in_person text, in_number text, pair_s double precision, remembered_s double precision
) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
    keys text[] := person_keys(in_person);
BEGIN
    -- Most people got nothing a moment ago. For them one search is a fraction of the query.
    IF NOT EXISTS (SELECT FROM person_attempts AS a
                   WHERE a.person = ANY (keys)
                     AND a.released_at > clock_timestamp() - remembered_s * interval '1 second') THEN
        RETURN false;
    END IF;
    -- LIMIT and OFFSET lead Postgres from the few attempts of the human to their rows. With plain joins, a plan of stale
    -- statistics read all recipients of the number's campaigns: a millisecond for each release, and more in larger ones.
    RETURN EXISTS (
        SELECT FROM person_attempts AS a
        LEFT JOIN LATERAL (
            SELECT true AS is_known, found.outcome, found.outcome_at FROM send_ledger AS found
            WHERE found.recipient_id = a.recipient_id AND found.attempt = a.attempt LIMIT 1) AS l ON true
        WHERE a.person = ANY (keys) AND a.released_at > clock_timestamp() - remembered_s * interval '1 second'
          AND EXISTS (
              SELECT FROM campaign_recipients AS o JOIN marketing_campaigns AS oc ON oc.id = o.campaign_id
              WHERE o.id = a.recipient_id AND oc.phone_number_id = in_number OFFSET 0)
          AND CASE
              WHEN l.is_known IS NULL THEN EXISTS (
                  SELECT FROM releases AS rel
                  WHERE rel.recipient_id = a.recipient_id AND rel.attempt = a.attempt OFFSET 0)
              WHEN l.outcome IS NULL THEN true
              WHEN l.outcome IN ('deferred', 'expired', 'skipped') THEN false
              ELSE l.outcome_at > clock_timestamp() - pair_s * interval '1 second' END);
END $$;

CREATE OR REPLACE FUNCTION twins_of(in_campaign uuid, in_recipient uuid, in_person text) RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    SELECT o.id FROM (SELECT unnest(person_keys(in_person)) AS person OFFSET 0) AS k
    CROSS JOIN LATERAL (  -- OFFSET: one search by index for each key. A plan of stale statistics reads the whole campaign.
        SELECT r.id FROM campaign_recipients AS r WHERE r.campaign_id = in_campaign AND r.person = k.person OFFSET 0) AS o
    WHERE o.id <> in_recipient
$$;

CREATE OR REPLACE FUNCTION twin_refusal(in_campaign uuid, in_recipient uuid, in_person text) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    twins uuid[];
BEGIN
    IF NOT EXISTS (SELECT FROM person_links AS l WHERE l.person = in_person) THEN
        RETURN NULL;
    END IF;
    twins := ARRAY(SELECT t.id FROM twins_of(in_campaign, in_recipient, in_person) AS t (id));
    IF twins = '{}' THEN
        RETURN NULL;
    END IF;
    RETURN (
        SELECT CASE WHEN bool_or(twin.was_sent) THEN 'same_person' WHEN bool_or(twin.is_open) THEN 'twin_open' END
        FROM (
            SELECT o.accepted_attempts & ~o.failed_attempts <> 0 OR EXISTS (
                       SELECT FROM send_ledger AS l
                       WHERE l.recipient_id = o.id AND l.outcome IN ('accepted', 'unknown')
                         AND o.failed_attempts & (1::bigint << l.attempt::integer) = 0 OFFSET 0) AS was_sent,
                   EXISTS (SELECT FROM send_ledger AS l WHERE l.recipient_id = o.id AND l.outcome IS NULL OFFSET 0) AS is_open
            FROM campaign_recipients AS o WHERE o.id = ANY (twins)
        ) AS twin);
END $$;

CREATE FUNCTION human_of(in_campaign uuid, in_recipient uuid, in_person text)
RETURNS TABLE (keys text[], has_twin boolean) LANGUAGE sql STABLE AS $$
    SELECT keyed.keys, keyed.keys IS NOT NULL AND EXISTS (
        SELECT FROM unnest(keyed.keys) AS k (person) CROSS JOIN LATERAL (
            SELECT FROM campaign_recipients AS o
            WHERE o.campaign_id = in_campaign AND o.person = k.person AND o.id <> in_recipient OFFSET 0) AS twin OFFSET 0)
    FROM (SELECT CASE WHEN EXISTS (SELECT FROM person_links AS l WHERE l.person = in_person OFFSET 0)
                 THEN person_keys(in_person) END AS keys OFFSET 0) AS keyed
$$;

DROP FUNCTION claim_refusal(uuid, smallint, timestamptz);
CREATE FUNCTION claim_refusal(in_recipient uuid, in_attempt smallint, in_send_before timestamptz)
RETURNS TABLE (refusal text, campaign_id uuid, person text, newest smallint) LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN NOT (SELECT installation_is_known()) THEN 'paused'  -- a subquery runs once for a statement
        WHEN r.id IS NULL OR r.attempt <> in_attempt OR r.status <> 'queued' OR r.next_attempt_at IS NOT NULL THEN 'stale'
        WHEN clock_timestamp() >= in_send_before THEN 'expired'
        WHEN c.status = 'cancelled' THEN 'campaign_cancelled'
        WHEN c.status <> 'active' THEN 'paused'
        WHEN EXISTS (SELECT FROM webhook_progress WHERE applied_through < clock_timestamp() - interval '60 seconds')
            THEN 'paused'
        WHEN (EXISTS (SELECT FROM subscriptions AS s WHERE s.person = r.person OFFSET 0)
              OR human.keys IS NOT NULL
              AND EXISTS (SELECT FROM subscriptions AS s WHERE s.person = ANY (human.keys) OFFSET 0))
             AND is_unsubscribed(r.person) THEN 'opted_out'
        WHEN human.has_twin AND twin_refusal(r.campaign_id, r.id, r.person) IS NOT NULL
            THEN twin_refusal(r.campaign_id, r.id, r.person)
        WHEN c.frequency_capped AND EXISTS (SELECT FROM frequency_cap) AND is_capped(r.person, r.id)
            THEN 'frequency_capped'
        WHEN EXISTS (SELECT FROM breakers WHERE opened_at IS NOT NULL) AND EXISTS (
            SELECT FROM breaker_scopes(c.phone_number_id, r.person, c.template_name, c.language_code) AS s
            JOIN breakers AS b ON b.scope = s.scope AND b.key = s.key
            WHERE b.opened_at IS NOT NULL
              AND (b.probe_recipient, b.probe_attempt) IS DISTINCT FROM (in_recipient, in_attempt))
            THEN 'breaker_open'
    END, r.campaign_id, r.person, r.attempt
    FROM (VALUES (true)) AS always
    LEFT JOIN campaign_recipients AS r ON r.id = in_recipient
    LEFT JOIN marketing_campaigns AS c ON c.id = r.campaign_id
    LEFT JOIN LATERAL (SELECT * FROM human_of(r.campaign_id, r.id, r.person) OFFSET 0) AS human ON true
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
    linked uuid[];
    repeated uuid[];
    twins uuid[];
    busy uuid[] := '{}';
    all_free boolean;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(in_token::text, 0));
    SELECT coalesce(array_agg(f.id), '{}'), array_agg(f.id) FILTER (WHERE f.is_linked) INTO free, linked FROM (
        SELECT r.id, EXISTS (SELECT FROM person_links AS l WHERE l.person = r.person OFFSET 0) AS is_linked
        FROM campaign_recipients AS r WHERE r.id = ANY (recipients)
        ORDER BY r.id FOR NO KEY UPDATE OF r SKIP LOCKED
    ) AS f;
    all_free := cardinality(free) = cardinality(recipients);
    IF linked IS NOT NULL THEN
        SELECT array_agg(r.id), array_agg(t.id) INTO repeated, twins
        FROM campaign_recipients AS r CROSS JOIN LATERAL twins_of(r.campaign_id, r.id, r.person) AS t (id)
        WHERE r.id = ANY (linked);
    END IF;
    IF twins IS NOT NULL THEN
        SELECT free || array_agg(f.id) INTO free FROM (
            SELECT r.id FROM campaign_recipients AS r WHERE r.id = ANY (twins) AND r.id <> ALL (free)
            ORDER BY r.id FOR NO KEY UPDATE SKIP LOCKED
        ) AS f;
        SELECT coalesce(array_agg(pair.id), '{}') INTO busy FROM unnest(repeated, twins) AS pair (id, twin)
        WHERE pair.twin <> ALL (free) OR pair.twin < pair.id AND pair.twin = ANY (recipients);
    END IF;
    IF EXISTS (SELECT FROM breakers WHERE opened_at IS NOT NULL) THEN
        PERFORM take_probes(array_agg(j.id), array_agg(j.n), array_agg(j.deadline), lease_s)
        FROM unnest(recipients, attempts, deadlines) AS j (id, n, deadline)
        WHERE j.id = ANY (free) HAVING count(*) > 0;
    END IF;
    RETURN QUERY
    WITH jobs AS (
        SELECT DISTINCT ON (j.id, j.n)
            j.id, j.n, least(j.deadline, rel.send_before) AS send_before,
            coalesce(rel.budget_day, (clock_timestamp() AT TIME ZONE 'UTC')::date) AS budget_day
        FROM unnest(recipients, attempts, deadlines) AS j (id, n, deadline)
        LEFT JOIN releases AS rel ON rel.recipient_id = j.id AND rel.attempt = j.n
        ORDER BY j.id, j.n
    ), judged AS MATERIALIZED (
        SELECT jobs.*, rule.campaign_id, rule.person, rule.newest, rule.refusal, l.token, l.outcome, l.event, l.published_at
        FROM jobs LEFT JOIN send_ledger AS l ON l.recipient_id = jobs.id AND l.attempt = jobs.n
        CROSS JOIN LATERAL claim_refusal(jobs.id, jobs.n, jobs.send_before) AS rule
        WHERE rule.campaign_id IS NOT NULL  -- nothing is said of a recipient without a row
    ), decided AS MATERIALIZED (
        SELECT judged.*, CASE
            WHEN judged.token = in_token AND coalesce(judged.outcome, 'unknown') = 'unknown' THEN 'claimed'
            WHEN judged.token = in_token AND judged.published_at IS NULL THEN judged.outcome
            WHEN judged.token IS NOT NULL THEN 'held'
            WHEN NOT all_free AND judged.id <> ALL (free) THEN 'busy'
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
