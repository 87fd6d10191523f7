-- Adds the breakers: their state, their changes, and the functions that claims, renewals and settlements call. A sender
-- of the version before settles without signals, because the new parameters have defaults.

-- ----------------------------------------------------------------------------------------------------------- breakers

-- A breaker stops one scope: a recipient pair, a template, a number, the account, or the endpoint. All senders share it.
-- The rules are in domain/breakers.py; breaker_step repeats its function `step`, and a test compares both. A row exists
-- only while there is something to remember, so the table is almost always empty.

CREATE TABLE breakers (
    scope             text COLLATE "C" NOT NULL
                      CHECK (scope IN ('recipient', 'template', 'number', 'account', 'endpoint')),
    key               text COLLATE "C" NOT NULL,
    streak            integer NOT NULL DEFAULT 0,
    foreign_streak    integer NOT NULL DEFAULT 0,
    recent            integer NOT NULL DEFAULT 0,
    opened_at         timestamptz,
    reason            text,
    code              integer,
    needs_human       boolean NOT NULL DEFAULT false,
    pause_s           double precision NOT NULL DEFAULT 0,
    probe_at          timestamptz,
    probe_recipient   uuid,
    probe_attempt     smallint,
    probe_until       timestamptz,
    probe_released_at timestamptz,
    closed_at         timestamptz,
    PRIMARY KEY (scope, key)
) WITH (fillfactor = 50);
COMMENT ON COLUMN breakers.recent IS 'The last 20 counted signals as bits, the newest lowest; 1 is bad';
COMMENT ON COLUMN breakers.probe_released_at IS 'When the scheduler last released a message as a probe';

-- Openings and closings of breakers, and pauses that they caused. The scheduler publishes them to `campaign.control`.
CREATE TABLE breaker_changes (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    change       text NOT NULL CHECK (change IN ('opened', 'closed', 'reset', 'campaign_paused')),
    scope        text NOT NULL,
    key          text NOT NULL,
    campaign_id  uuid,
    code         integer,
    reason       text,
    needs_human  boolean NOT NULL DEFAULT false,
    changed_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    published_at timestamptz
);
CREATE INDEX breaker_changes_unpublished ON breaker_changes (id) WHERE published_at IS NULL;

-- The first sends of a campaign, while Meta refused each of them with the same code of the request.
CREATE TABLE template_trials (
    campaign_id uuid PRIMARY KEY REFERENCES marketing_campaigns (id) ON DELETE CASCADE,
    refused     smallint NOT NULL DEFAULT 0,
    code        integer,
    is_over     boolean NOT NULL DEFAULT false
);
CREATE INDEX template_trials_running ON template_trials (campaign_id) WHERE NOT is_over;

-- One signal of a settled attempt about one scope.
CREATE TYPE breaker_signal AS (
    letter text, code integer, reason text, recipient_id uuid, attempt smallint
);

-- The breakers that concern a message. `place` is the position of the scope's letter in a row of signals.
CREATE FUNCTION breaker_scopes(number text, phone text, template text, language text)
RETURNS TABLE (place integer, scope text, key text) LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    VALUES (1, 'recipient', number || '/' || phone), (2, 'template', template || '/' || language),
           (3, 'number', number), (4, 'account', ''), (5, 'endpoint', '')
$$;

-- Whether the breakers of this campaign that are open let one message through now, and when one of them last closed.
-- The pair is not asked: only a claim knows the person.
CREATE FUNCTION campaign_breakers(
    number text, template text, language text,
    OUT is_held boolean, OUT may_probe boolean, OUT number_closed_at timestamptz, OUT template_closed_at timestamptz
) LANGUAGE sql STABLE AS $$
    SELECT count(*) FILTER (WHERE b.opened_at IS NOT NULL) > 0,
           coalesce(bool_and(
               NOT b.needs_human AND b.probe_at <= clock_timestamp()
               AND (b.probe_until IS NULL OR b.probe_until < clock_timestamp())
               AND (b.probe_released_at IS NULL OR b.probe_released_at < clock_timestamp() - interval '5 seconds')
           ) FILTER (WHERE b.opened_at IS NOT NULL), false),
           max(b.closed_at) FILTER (WHERE b.scope <> 'template'), max(b.closed_at) FILTER (WHERE b.scope = 'template')
    FROM breaker_scopes(number, '', template, language) AS s
    JOIN breakers AS b ON b.scope = s.scope AND b.key = s.key
    WHERE s.scope <> 'recipient'
$$;

-- The state of a breaker after one signal, as in domain/breakers.py. `b` is changed and returned.
CREATE FUNCTION breaker_step(
    b breakers, letter text, in_code integer, in_reason text, is_probe boolean, at timestamptz,
    first_s double precision, max_s double precision
) RETURNS breakers LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    longer_s double precision := least(max_s, greatest(first_s, 2 * b.pause_s));
    opens boolean;
BEGIN
    IF b.opened_at IS NOT NULL THEN
        IF is_probe AND letter = 'g' THEN
            b.closed_at := at;
            b.opened_at := NULL; b.reason := NULL; b.code := NULL; b.needs_human := false; b.probe_at := NULL;
            b.probe_recipient := NULL; b.probe_attempt := NULL; b.probe_until := NULL; b.probe_released_at := NULL;
            b.streak := 0; b.foreign_streak := 0; b.recent := 0;
            RETURN b;
        END IF;
        IF letter = 'h' AND NOT b.needs_human THEN
            b.needs_human := true; b.code := in_code; b.reason := in_reason;
        END IF;
        IF is_probe THEN
            b.pause_s := CASE WHEN letter = 'n' THEN b.pause_s ELSE longer_s END;
            b.probe_at := at + b.pause_s * interval '1 second';
            b.probe_recipient := NULL; b.probe_attempt := NULL; b.probe_until := NULL; b.probe_released_at := NULL;
        END IF;
        RETURN b;
    END IF;
    IF letter IN ('n', 'r') THEN
        RETURN b;
    END IF;
    IF letter = 'g' THEN
        b.streak := 0; b.foreign_streak := 0; b.recent := (b.recent << 1) & 1048575;
        RETURN b;
    END IF;
    opens := letter IN ('o', 'h');
    IF NOT opens THEN
        b.streak := b.streak + 1;
        b.foreign_streak := b.foreign_streak + (letter = 'f')::integer;
        b.recent := (b.recent << 1 | 1) & 1048575;
        opens := b.streak >= 5 OR b.foreign_streak >= 3 OR bit_count(b.recent::bit(32)) >= 10;
    END IF;
    IF opens THEN
        b.pause_s := CASE WHEN at < b.closed_at + interval '60 seconds' THEN longer_s ELSE first_s END;
        b.streak := 0; b.foreign_streak := 0; b.recent := 0; b.closed_at := NULL;
        b.opened_at := at; b.code := in_code; b.reason := in_reason; b.needs_human := letter = 'h';
        b.probe_at := at + b.pause_s * interval '1 second';
    END IF;
    RETURN b;
END $$;

-- Writes the state of a breaker, and records an opening or a closing. A state with nothing to remember is deleted.
CREATE FUNCTION write_breaker(b breakers, was breakers) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF b.opened_at IS NULL AND b.closed_at < clock_timestamp() - interval '60 seconds' THEN
        b.closed_at := NULL; b.pause_s := 0;
    END IF;
    IF b.opened_at IS NULL AND b.closed_at IS NULL AND b.streak = 0 AND b.foreign_streak = 0 AND b.recent = 0 THEN
        DELETE FROM breakers AS d WHERE d.scope = b.scope AND d.key = b.key;
    ELSIF b IS DISTINCT FROM was THEN
        UPDATE breakers AS u SET
            streak = b.streak, foreign_streak = b.foreign_streak, recent = b.recent, opened_at = b.opened_at,
            reason = b.reason, code = b.code, needs_human = b.needs_human, pause_s = b.pause_s, probe_at = b.probe_at,
            probe_recipient = b.probe_recipient, probe_attempt = b.probe_attempt, probe_until = b.probe_until,
            probe_released_at = b.probe_released_at, closed_at = b.closed_at
        WHERE u.scope = b.scope AND u.key = b.key;
    END IF;
    IF b.opened_at IS NOT NULL AND (was.opened_at IS NULL OR b.needs_human AND NOT was.needs_human) THEN
        INSERT INTO breaker_changes (change, scope, key, code, reason, needs_human)
        VALUES ('opened', b.scope, b.key, b.code, b.reason, b.needs_human);
    ELSIF b.opened_at IS NULL AND was.opened_at IS NOT NULL THEN
        INSERT INTO breaker_changes (change, scope, key, code, reason, needs_human)
        VALUES ('closed', b.scope, b.key, was.code, was.reason, was.needs_human);
    END IF;
END $$;

-- Counts the first sends of each campaign (domain/breakers.py, try_template). Returns the keys of the templates whose
-- breaker opens: Meta refused each of the first ten sends with one code of the request.
CREATE FUNCTION try_templates(recipients uuid[], letters text[], codes integer[]) RETURNS text[]
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
    tried record;
    trial template_trials;
    tripped text[] := '{}';
BEGIN
    FOR tried IN
        SELECT c.id, c.template_name || '/' || c.language_code AS key,
               array_agg(substr(e.letters, 2, 1) ORDER BY e.line) AS signals,
               array_agg(coalesce(e.code, -1) ORDER BY e.line) AS codes
        FROM unnest(recipients, letters, codes) WITH ORDINALITY AS e (id, letters, code, line)
        JOIN campaign_recipients AS r ON r.id = e.id
        JOIN marketing_campaigns AS c ON c.id = r.campaign_id
        LEFT JOIN template_trials AS t ON t.campaign_id = c.id
        WHERE substr(e.letters, 2, 1) IN ('g', 'r') AND t.is_over IS NOT TRUE
        GROUP BY c.id HAVING bool_or(substr(e.letters, 2, 1) = 'r' OR t.campaign_id IS NOT NULL)
        ORDER BY c.id
    LOOP
        INSERT INTO template_trials AS t (campaign_id, is_over) VALUES (tried.id, EXISTS (
            SELECT FROM (
                SELECT n FROM campaign_counters
                WHERE campaign_id = tried.id AND dimension = 'funnel' AND campaign_counters.key = 'sent'
                UNION ALL
                SELECT n FROM campaign_counter_deltas AS d
                WHERE d.campaign_id = tried.id AND d.dimension = 'funnel' AND d.key = 'sent'
            ) AS counted HAVING sum(n) > 0))
        ON CONFLICT (campaign_id) DO UPDATE SET refused = t.refused
        RETURNING * INTO trial;
        FOR i IN 1 .. array_length(tried.signals, 1) LOOP
            IF trial.is_over THEN
                EXIT;
            ELSIF tried.signals[i] = 'g' OR (trial.refused > 0 AND trial.code <> tried.codes[i]) THEN
                trial.is_over := true; trial.refused := 0; trial.code := NULL;
            ELSIF trial.refused + 1 = 10 THEN
                trial.refused := 0; trial.code := NULL;
                tripped := tripped || tried.key;
            ELSE
                trial.refused := trial.refused + 1; trial.code := tried.codes[i];
            END IF;
        END LOOP;
        UPDATE template_trials AS t SET refused = trial.refused, code = trial.code, is_over = trial.is_over
        WHERE t.campaign_id = trial.campaign_id;
    END LOOP;
    RETURN tripped;
END $$;

-- Applies the signals of settled attempts, in their order, and records every opening and closing. Each settlement has
-- five letters, one for each scope (domain/signals.py). It locks the breakers in the order of their keys, after the
-- ledger and before the budgets of days; every caller keeps this order.
CREATE FUNCTION feed_breakers(
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
        CROSS JOIN LATERAL breaker_scopes(c.phone_number_id, r.phone_number, c.template_name, c.language_code) AS s
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

-- Lets a message through every open breaker of its scopes, as the probe of each, where all of them permit one. The locks
-- on the breakers make this the one place that decides about probes: at most one at a time over all senders.
CREATE FUNCTION take_probes(
    recipients uuid[], attempts smallint[], deadlines timestamptz[], lease_s double precision
) RETURNS void LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
    job record;
    permits boolean;
BEGIN
    FOR job IN
        SELECT j.id, j.n, c.phone_number_id, r.phone_number, c.template_name, c.language_code
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
            JOIN breaker_scopes(job.phone_number_id, job.phone_number, job.template_name, job.language_code) AS s
                ON s.scope = b.scope AND s.key = b.key
            WHERE b.opened_at IS NOT NULL
            ORDER BY b.scope, b.key FOR UPDATE OF b
        ) AS locked;
        IF permits THEN
            UPDATE breakers AS b SET
                probe_recipient = job.id, probe_attempt = job.n,
                probe_until = clock_timestamp() + lease_s * interval '1 second'
            FROM breaker_scopes(job.phone_number_id, job.phone_number, job.template_name, job.language_code) AS s
            WHERE s.scope = b.scope AND s.key = b.key AND b.opened_at IS NOT NULL;
        END IF;
    END LOOP;
END $$;


DROP FUNCTION ledger_event(text, uuid, uuid, smallint, text, text);
DROP FUNCTION settle_attempts(uuid[], smallint[], uuid[], text[], text[], text[]);

-- The event of an attempt that was not posted, or may not have been. It is published byte for byte.
CREATE FUNCTION ledger_event(
    kind text, in_campaign uuid, in_recipient uuid, in_attempt smallint, in_producer text, reason text DEFAULT NULL,
    due_at timestamptz DEFAULT NULL
) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT json_strip_nulls(json_build_object(
        'v', 1, 'producer', in_producer, 'kind', kind, 'campaign_id', in_campaign, 'recipient_id', in_recipient,
        'attempt', in_attempt, 'occurred_at', clock_timestamp(), 'received_at', clock_timestamp(),
        'skip_reason', CASE WHEN kind = 'skipped' THEN reason END,
        'not_before', CASE WHEN kind IN ('deferred', 'expired') THEN coalesce(due_at, clock_timestamp()) END))::text
$$;

-- The one place that decides whether an attempt may be posted now. NULL permits it; a text is the reason against it.
-- Claim and renewal both call it, so a pause, a cancellation or an opt-out holds from the next claim or renewal on.
-- The order matters. A database that does not know its history refuses nothing for good ('paused' is not written to the
-- ledger). Then an attempt that is not the row's newest, or already has an outcome, is 'stale': its job is an old copy.
-- Only a current attempt can expire or be refused for its campaign or its person. A missing recipient is 'stale' too,
-- which is why the joins are outer joins. An open breaker refuses every message of its scope but its probe.
CREATE OR REPLACE FUNCTION claim_refusal(in_recipient uuid, in_attempt smallint, in_send_before timestamptz)
RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT CASE
        WHEN NOT installation_is_known() THEN 'paused'
        WHEN r.id IS NULL OR r.attempt <> in_attempt OR r.status <> 'queued' OR r.next_attempt_at IS NOT NULL THEN 'stale'
        WHEN clock_timestamp() >= in_send_before THEN 'expired'
        WHEN c.status = 'cancelled' THEN 'campaign_cancelled'
        WHEN c.status <> 'active' THEN 'paused'
        WHEN EXISTS (SELECT FROM subscriptions AS s WHERE s.person = r.phone_number AND NOT s.subscribed)
            THEN 'opted_out'
        WHEN EXISTS (SELECT FROM breakers WHERE opened_at IS NOT NULL) AND EXISTS (
            SELECT FROM breaker_scopes(c.phone_number_id, r.phone_number, c.template_name, c.language_code) AS s
            JOIN breakers AS b ON b.scope = s.scope AND b.key = s.key
            WHERE b.opened_at IS NOT NULL
              AND (b.probe_recipient, b.probe_attempt) IS DISTINCT FROM (in_recipient, in_attempt))
            THEN 'breaker_open'
    END
    FROM (VALUES (true)) AS always
    LEFT JOIN campaign_recipients AS r ON r.id = in_recipient
    LEFT JOIN marketing_campaigns AS c ON c.id = r.campaign_id
$$;

-- Claims or refuses attempts. The verdicts:
--   claimed           the caller may post
--   probe             the same, and the message is the probe of an open breaker
--   expired, skipped, deferred
--                     refused: the outcome and its event are in the ledger, and the budget is given back
--   paused            not now; nothing is written, and the job may come again
--   stale             not the newest attempt, or it has an outcome: nothing to do
--   held              another token has claimed or refused it
-- The rule it guards: one attempt is claimed or refused once, by one token. Locking the recipients' rows first, in id
-- order, makes concurrent claims of one recipient take turns and prevents deadlocks. ON CONFLICT DO NOTHING is the last
-- guard: the loser of a race gets no row.
-- A repeated call with the same token returns the result of the first, so a sender reads back a claim whose answer was
-- lost. That also holds after the sweep has declared the attempt unknown: the owner has not posted, finds its lease
-- over, and settles the attempt as not sent.
CREATE OR REPLACE FUNCTION claim_attempts(
    in_token uuid, recipients uuid[], attempts smallint[], deadlines timestamptz[], lease_s double precision,
    in_producer text
) RETURNS TABLE (recipient_id uuid, attempt smallint, verdict text, event text)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
    PERFORM FROM campaign_recipients AS r WHERE r.id = ANY (recipients) ORDER BY r.id FOR NO KEY UPDATE;
    IF EXISTS (SELECT FROM breakers WHERE opened_at IS NOT NULL) THEN
        PERFORM take_probes(recipients, attempts, deadlines, lease_s);
    END IF;
    RETURN QUERY
    WITH jobs AS (
        SELECT DISTINCT ON (j.id, j.n)
            j.id, j.n, r.campaign_id, r.phone_number, r.attempt AS newest, least(j.deadline, rel.send_before) AS send_before,
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
            WHEN judged.refusal = 'breaker_open' THEN 'deferred'
            ELSE judged.refusal END AS verdict,
            -- A pair is not known to the release, so its message must not be due before the breaker's next probe.
            CASE WHEN judged.refusal = 'breaker_open' THEN (
                SELECT max(b.probe_at) FROM breakers AS b JOIN marketing_campaigns AS c ON c.id = judged.campaign_id
                WHERE b.scope = 'recipient' AND b.key = c.phone_number_id || '/' || judged.phone_number
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
        DELETE FROM releases AS rel USING decided AS d
        WHERE rel.recipient_id = d.id AND rel.attempt = d.n
          AND (d.verdict IN ('claimed', 'expired', 'skipped', 'deferred', 'held') OR d.n < d.newest)
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

-- Renews claims under the same conditions, or settles them as certainly not sent. The verdicts: renewed; deferred,
-- expired, skipped (settled, with the event). A claim that has another token or an outcome is not returned.
CREATE OR REPLACE FUNCTION renew_claims(
    recipients uuid[], attempts smallint[], tokens uuid[], lease_s double precision, in_producer text
) RETURNS TABLE (recipient_id uuid, attempt smallint, verdict text, event text)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
    PERFORM FROM send_ledger AS l
    JOIN unnest(recipients, attempts) AS u (id, n) ON l.recipient_id = u.id AND l.attempt = u.n
    ORDER BY l.recipient_id, l.attempt FOR NO KEY UPDATE OF l;
    IF EXISTS (SELECT FROM breakers WHERE probe_until IS NOT NULL) THEN  -- a probe keeps its place while it waits
        WITH probed AS MATERIALIZED (
            SELECT b.scope, b.key FROM breakers AS b
            JOIN unnest(recipients, attempts, tokens) AS u (id, n, token)
                ON b.probe_recipient = u.id AND b.probe_attempt = u.n
            JOIN send_ledger AS l ON l.recipient_id = u.id AND l.attempt = u.n AND l.token = u.token
            WHERE l.outcome IS NULL
            ORDER BY b.scope, b.key FOR UPDATE OF b
        )
        UPDATE breakers AS b SET probe_until = clock_timestamp() + lease_s * interval '1 second'
        FROM probed WHERE b.scope = probed.scope AND b.key = probed.key;
    END IF;
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
            WHEN judged.refusal IN ('paused', 'breaker_open') THEN 'deferred'
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

-- Writes outcomes, and returns the attempts written. Only the owner of the token may write, and only where there is no
-- outcome yet, or an `unknown` that the sweep declared while the owner was frozen: the owner's answer is more exact, and
-- its event is published after the first. Each written outcome also feeds the breakers of its scopes, in the same
-- transaction: `letters` has its signals, `codes` and `reasons` what an opened breaker shows.
CREATE FUNCTION settle_attempts(
    recipients uuid[], attempts smallint[], tokens uuid[], outcomes text[], wamids text[], events text[],
    letters text[] DEFAULT NULL, codes integer[] DEFAULT NULL, reasons text[] DEFAULT NULL,
    first_s double precision DEFAULT 5, max_s double precision DEFAULT 300
) RETURNS TABLE (recipient_id uuid, attempt smallint)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
    PERFORM FROM send_ledger AS l
    JOIN unnest(recipients, attempts) AS u (id, n) ON l.recipient_id = u.id AND l.attempt = u.n
    ORDER BY l.recipient_id, l.attempt FOR NO KEY UPDATE OF l;
    IF EXISTS (SELECT FROM unnest(letters) AS l (signals) WHERE l.signals <> 'ggggg')
       OR EXISTS (SELECT FROM breakers) OR EXISTS (SELECT FROM template_trials WHERE NOT is_over) THEN
        PERFORM feed_breakers(
            array_agg(u.id ORDER BY u.line), array_agg(u.n ORDER BY u.line), array_agg(u.signals ORDER BY u.line),
            array_agg(u.code ORDER BY u.line), array_agg(u.reason ORDER BY u.line), first_s, max_s)
        FROM unnest(recipients, attempts, tokens, outcomes, letters, codes, reasons)
            WITH ORDINALITY AS u (id, n, token, outcome, signals, code, reason, line)
        JOIN send_ledger AS l ON l.recipient_id = u.id AND l.attempt = u.n AND l.token = u.token
        WHERE u.signals IS NOT NULL
          AND (l.outcome IS NULL OR (l.outcome = 'unknown' AND u.outcome <> 'unknown'))
        HAVING count(*) > 0;
    END IF;
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
