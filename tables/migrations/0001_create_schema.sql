-- The whole schema, first version. Facts are stored; status, retry_count, failure_reason and next_attempt_at are generated
-- from them, so that nothing can disagree with the facts. See docs/architecture.md for the meaning of each fact.

-- Time-ordered ids on PostgreSQL 15 to 18 (RFC 9562, version 7): 48 bits of Unix milliseconds, then randomness.
CREATE FUNCTION campaigns_uuid_v7() RETURNS uuid
LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT encode(
        set_bit(set_bit(
            overlay(uuid_send(gen_random_uuid())
                    PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
                    FROM 1 FOR 6),
            52, 1), 53, 1), 'hex')::uuid
$$;

-- ---------------------------------------------------------------------------------------------------------- campaigns

CREATE TABLE marketing_campaigns (
    id               uuid PRIMARY KEY DEFAULT campaigns_uuid_v7(),
    name             text NOT NULL CHECK (name <> ''),
    template_name    text NOT NULL CHECK (template_name <> ''),
    language_code    text NOT NULL,
    daily_send_limit integer CHECK (daily_send_limit > 0),
    phone_number_id  text NOT NULL CHECK (phone_number_id <> ''),
    time_zone        text NOT NULL DEFAULT 'UTC',
    status           text NOT NULL DEFAULT 'draft'
                     CHECK (status IN ('draft', 'active', 'paused', 'completed', 'cancelled')),
    pause_reason     text,
    activated_at     timestamptz,
    completed_at     timestamptz,
    created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((status = 'paused') = (pause_reason IS NOT NULL))
);
COMMENT ON COLUMN marketing_campaigns.daily_send_limit IS 'Sends per day of the campaign''s time zone; NULL: no limit';

-- --------------------------------------------------------------------------------------------------------- recipients

-- The status table of domain/status.py, stated once more. A contract test holds both equal.
CREATE FUNCTION recipient_status(
    attempt smallint, accepted_attempts bigint, failed_attempts bigint, delivered_at timestamptz, read_at timestamptz,
    deferred_attempt smallint, expired_attempt smallint, unknown_attempt smallint, skipped_attempt smallint
) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN read_at IS NOT NULL THEN 'read'
        WHEN delivered_at IS NOT NULL THEN 'delivered'
        WHEN accepted_attempts & ~failed_attempts <> 0 THEN 'sent'
        WHEN attempt > 0 AND failed_attempts & (1::bigint << attempt::integer) <> 0 THEN 'failed'
        WHEN attempt = 0 THEN 'pending'
        WHEN attempt IN (deferred_attempt, expired_attempt) THEN 'queued'
        WHEN attempt = unknown_attempt THEN 'unknown'
        WHEN attempt = skipped_attempt THEN 'skipped'
        ELSE 'queued'
    END
$$;

-- When a row may be released (again); NULL: never by itself. The same rule as domain/status.py:next_attempt_at.
CREATE FUNCTION recipient_next_attempt_at(
    status text, attempt smallint, scheduled_send_date timestamptz, created_at timestamptz,
    deferred_attempt smallint, deferred_until timestamptz, expired_attempt smallint, expired_until timestamptz,
    retry_attempt smallint, failed_attempts bigint, held_back_attempts bigint,
    failed_at timestamptz, failure_class text, failure_backoff_s integer, max_retries smallint
) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE status
        WHEN 'pending' THEN scheduled_send_date
        WHEN 'queued' THEN CASE
            WHEN attempt = deferred_attempt THEN deferred_until
            WHEN attempt = expired_attempt THEN expired_until
        END
        WHEN 'unknown' THEN CASE WHEN attempt = retry_attempt AND attempt < 62 THEN created_at END
        WHEN 'failed' THEN CASE
            WHEN attempt >= 62 THEN NULL
            WHEN attempt = retry_attempt THEN created_at
            WHEN bit_count((failed_attempts & ~held_back_attempts)::bit(64)) >= max_retries THEN NULL
            WHEN failure_class = 'backoff' THEN failed_at + failure_backoff_s * interval '1 second'
            WHEN failure_class = 'held_back' AND bit_count(held_back_attempts::bit(64)) < 3
                THEN failed_at + failure_backoff_s * interval '1 second'
        END
    END
$$;

CREATE TABLE campaign_recipients (
    id                  uuid PRIMARY KEY DEFAULT campaigns_uuid_v7(),
    campaign_id         uuid NOT NULL REFERENCES marketing_campaigns (id),
    phone_number        text NOT NULL CHECK (phone_number ~ '^[1-9][0-9]{6,14}$'),
    template_parameters jsonb,
    scheduled_send_date timestamptz,
    max_retries         smallint NOT NULL DEFAULT 3 CHECK (max_retries BETWEEN 0 AND 60),
    created_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Facts. Merging (greatest, least, bitwise or) is the only way in.
    attempt             smallint NOT NULL DEFAULT 0 CHECK (attempt BETWEEN 0 AND 62),
    sent_at             timestamptz,
    delivered_at        timestamptz,
    read_at             timestamptz,
    replied_at          timestamptz,
    accepted_attempts   bigint NOT NULL DEFAULT 0,
    accepted_attempt    smallint,
    accepted_at         timestamptz,
    whatsapp_message_id text COLLATE "C",
    failed_attempts     bigint NOT NULL DEFAULT 0,
    held_back_attempts  bigint NOT NULL DEFAULT 0,
    failed_attempt      smallint,
    failed_at           timestamptz,
    failure_code        integer,
    failure_text        text COLLATE "C",
    failure_class       text COLLATE "C" CHECK (failure_class IN ('never', 'backoff', 'held_back')),
    failure_backoff_s   integer,
    deferred_attempt    smallint,
    deferred_until      timestamptz,
    expired_attempt     smallint,
    expired_until       timestamptz,
    unknown_attempt     smallint,
    skipped_attempt     smallint,
    skip_reason         text COLLATE "C",
    retry_attempt       smallint,
    held_for_quality    boolean NOT NULL DEFAULT false,
    -- Functions of the facts. Writing them fails: state a fact instead.
    status              text NOT NULL GENERATED ALWAYS AS (recipient_status(
                            attempt, accepted_attempts, failed_attempts, delivered_at, read_at,
                            deferred_attempt, expired_attempt, unknown_attempt, skipped_attempt)) STORED,
    next_attempt_at     timestamptz GENERATED ALWAYS AS (recipient_next_attempt_at(
                            recipient_status(
                                attempt, accepted_attempts, failed_attempts, delivered_at, read_at,
                                deferred_attempt, expired_attempt, unknown_attempt, skipped_attempt),
                            attempt, scheduled_send_date, created_at, deferred_attempt, deferred_until,
                            expired_attempt, expired_until, retry_attempt, failed_attempts, held_back_attempts,
                            failed_at, failure_class, failure_backoff_s, max_retries)) STORED,
    retry_count         smallint NOT NULL GENERATED ALWAYS AS (
                            bit_count((failed_attempts & ~held_back_attempts)::bit(64))::smallint) STORED,
    failure_reason      text GENERATED ALWAYS AS (CASE WHEN recipient_status(
                                attempt, accepted_attempts, failed_attempts, delivered_at, read_at,
                                deferred_attempt, expired_attempt, unknown_attempt, skipped_attempt) = 'skipped'
                            THEN skip_reason ELSE failure_text END) STORED,
    UNIQUE (campaign_id, phone_number),
    CHECK (sent_at <= delivered_at AND delivered_at <= read_at),
    CHECK (delivered_at IS NULL OR sent_at IS NOT NULL),
    CHECK (read_at IS NULL OR delivered_at IS NOT NULL)
) WITH (fillfactor = 80);

CREATE INDEX campaign_recipients_page ON campaign_recipients (campaign_id, id);
-- The only index for what is due. It must not name status, or updates stop being HOT.
CREATE INDEX campaign_recipients_due ON campaign_recipients (campaign_id, next_attempt_at)
    WHERE next_attempt_at IS NOT NULL;

CREATE FUNCTION touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END $$;
CREATE TRIGGER campaign_recipients_touch BEFORE UPDATE ON campaign_recipients FOR EACH ROW
    WHEN (NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at) EXECUTE FUNCTION touch_updated_at();
CREATE TRIGGER marketing_campaigns_touch BEFORE UPDATE ON marketing_campaigns FOR EACH ROW
    WHEN (NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at) EXECUTE FUNCTION touch_updated_at();

-- ----------------------------------------------------------------------------------------------------------- messages

-- Wamids of every attempt, and statuses parked for a wamid that nobody has claimed yet: one table, so that who learns
-- a wamid and who parks a status upsert the same row and see each other.
CREATE TABLE messages (
    wamid             text COLLATE "C" PRIMARY KEY,
    recipient_id      uuid,
    attempt           smallint CHECK (attempt BETWEEN 1 AND 62),
    phone_number_id   text,
    first_seen_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    accepted_at       timestamptz,
    sent_at           timestamptz,
    delivered_at      timestamptz,
    read_at           timestamptz,
    replied_at        timestamptz,
    failed_at         timestamptz,
    failure_code      integer,
    failure_text      text COLLATE "C",
    failure_class     text COLLATE "C",
    failure_backoff_s integer,
    held_back         boolean NOT NULL DEFAULT false,
    pricing_at        timestamptz,
    pricing_type      text COLLATE "C",
    pricing_category  text COLLATE "C",
    CHECK ((recipient_id IS NULL) = (attempt IS NULL))
);
CREATE INDEX messages_recipient ON messages (recipient_id, attempt) WHERE recipient_id IS NOT NULL;
CREATE INDEX messages_parked ON messages (first_seen_at) WHERE recipient_id IS NULL;

-- Statuses of other systems on our number: parked for a day, then only counted.
CREATE TABLE foreign_statuses (
    day             date NOT NULL,
    phone_number_id text NOT NULL,
    n               bigint NOT NULL,
    PRIMARY KEY (day, phone_number_id)
);

-- A second wamid for one attempt proves a double send. Kept for ever and alarmed.
CREATE TABLE double_sends (
    recipient_id uuid NOT NULL,
    attempt      smallint NOT NULL,
    wamid        text COLLATE "C" NOT NULL,
    seen_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (recipient_id, attempt, wamid)
);

-- ------------------------------------------------------------------------------------------------- releases and ledger

-- Released and neither claimed nor refused yet. Small: the scheduler caps it; a claim or refusal deletes the row.
CREATE TABLE releases (
    recipient_id      uuid NOT NULL,
    attempt           smallint NOT NULL CHECK (attempt BETWEEN 1 AND 62),
    campaign_id       uuid NOT NULL REFERENCES marketing_campaigns (id),
    phone_number_id   text NOT NULL,
    send_before       timestamptz NOT NULL,
    budget_day        date NOT NULL,
    released_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    publish_count     integer NOT NULL DEFAULT 0,
    published_at      timestamptz,
    job_partition     integer,
    job_offset        bigint,
    PRIMARY KEY (recipient_id, attempt)
);
CREATE INDEX releases_campaign ON releases (campaign_id);
COMMENT ON COLUMN releases.job_offset IS 'Where the job was last published; published again once the sender''s group is past it';

-- One row per claimed or refused attempt: the claim, the answer, and the outbox of the event that tells it.
CREATE TABLE send_ledger (
    recipient_id    uuid NOT NULL,
    attempt         smallint NOT NULL CHECK (attempt BETWEEN 1 AND 62),
    campaign_id     uuid NOT NULL,
    budget_day      date NOT NULL,
    send_before     timestamptz NOT NULL,
    token           uuid NOT NULL,
    claimed_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    lease_until     timestamptz NOT NULL,
    outcome         text CHECK (outcome IN ('accepted', 'rejected', 'deferred', 'expired', 'skipped', 'unknown')),
    outcome_at      timestamptz,
    wamid           text,
    event           text,
    published_at    timestamptz,
    PRIMARY KEY (recipient_id, attempt),
    CHECK ((outcome IS NULL) = (outcome_at IS NULL)),
    CHECK ((outcome IS NULL) = (event IS NULL)),
    CHECK (published_at IS NULL OR outcome IS NOT NULL)
) WITH (fillfactor = 80);
CREATE INDEX send_ledger_open ON send_ledger (lease_until) WHERE outcome IS NULL;
CREATE INDEX send_ledger_unpublished ON send_ledger (outcome_at) WHERE outcome IS NOT NULL AND published_at IS NULL;
COMMENT ON COLUMN send_ledger.event IS 'The RecipientEvent as JSON, byte for byte what is published';

-- What a campaign has released on a day of its own time zone; a ledger row settled as not sent gives back.
CREATE TABLE campaign_days (
    campaign_id uuid NOT NULL REFERENCES marketing_campaigns (id),
    day         date NOT NULL,
    used        integer NOT NULL DEFAULT 0 CHECK (used >= 0),
    PRIMARY KEY (campaign_id, day)
);

-- The rate of a number: a token bucket of at most one second.
CREATE TABLE number_rates (
    phone_number_id text PRIMARY KEY,
    tokens          double precision NOT NULL DEFAULT 0,
    refilled_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- ------------------------------------------------------------------------------------------------------ subscriptions

CREATE TABLE subscriptions (
    person      text NOT NULL,
    source      text NOT NULL CHECK (source IN ('keyword', 'platform', 'operator')),
    subscribed  boolean NOT NULL,
    occurred_at timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (person, source)
);

-- ----------------------------------------------------------------------------------------------------------- counters

-- Append-only changes, written by triggers in the transaction that changes the rows, whoever writes them.
CREATE TABLE campaign_counter_deltas (
    campaign_id uuid NOT NULL,
    dimension   text NOT NULL,
    key         text NOT NULL,
    n           bigint NOT NULL
);
CREATE INDEX campaign_counter_deltas_campaign ON campaign_counter_deltas (campaign_id);

CREATE TABLE campaign_counters (
    campaign_id uuid NOT NULL,
    dimension   text NOT NULL,
    key         text NOT NULL,
    n           bigint NOT NULL,
    PRIMARY KEY (campaign_id, dimension, key)
);

CREATE TABLE campaign_stats (
    campaign_id       uuid PRIMARY KEY,
    version           bigint NOT NULL DEFAULT 0,
    published_version bigint NOT NULL DEFAULT 0,
    campaign_status   text,
    folded_at         timestamptz,
    published_at      timestamptz
);

COMMENT ON COLUMN campaign_stats.campaign_status IS 'The status that this version tells; another one makes a new version';

-- Dimensions: status/<status>, funnel/{total,sent,delivered,read,replied,retrying}, failure/<code>, skip/<reason>.
-- A row that was written by hand may lack code, text or reason: 'unknown' counts it, or its writer would be refused.
-- The three trigger functions differ in their source rows only, so they are made from one text.
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
            CREATE FUNCTION count_recipients_%1$s() RETURNS trigger LANGUAGE plpgsql AS $body$
            BEGIN
                INSERT INTO campaign_counter_deltas (campaign_id, dimension, key, n)
                WITH changed AS (%2$s)
                SELECT campaign_id, dimension, key, n
                FROM (
                    SELECT campaign_id,
                           sum(sign) AS total,
                           sum(sign) FILTER (WHERE sent_at IS NOT NULL) AS sent,
                           sum(sign) FILTER (WHERE delivered_at IS NOT NULL) AS delivered,
                           sum(sign) FILTER (WHERE read_at IS NOT NULL) AS read,
                           sum(sign) FILTER (WHERE replied_at IS NOT NULL) AS replied,
                           sum(sign) FILTER (WHERE status IN ('failed', 'unknown') AND next_attempt_at IS NOT NULL)
                               AS retrying
                    FROM changed GROUP BY campaign_id) AS sums
                CROSS JOIN LATERAL (VALUES
                    ('funnel', 'total', total), ('funnel', 'sent', sent), ('funnel', 'delivered', delivered),
                    ('funnel', 'read', read), ('funnel', 'replied', replied), ('funnel', 'retrying', retrying)
                ) AS keyed (dimension, key, n)
                WHERE n <> 0
                UNION ALL
                SELECT campaign_id, 'status', status, sum(sign) FROM changed
                GROUP BY campaign_id, status HAVING sum(sign) <> 0
                UNION ALL
                SELECT campaign_id, 'failure', coalesce(failure_code::text, failure_text, 'unknown'), sum(sign)
                FROM changed WHERE status = 'failed' GROUP BY 1, 3 HAVING sum(sign) <> 0
                UNION ALL
                SELECT campaign_id, 'skip', coalesce(skip_reason, 'unknown'), sum(sign) FROM changed
                WHERE status = 'skipped' GROUP BY 1, 3 HAVING sum(sign) <> 0;
                RETURN NULL;
            END $body$ $create$, source.verb, source.rows);
    END LOOP;
END $do$;

CREATE TRIGGER campaign_recipients_count_insert AFTER INSERT ON campaign_recipients
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_recipients_insert();
CREATE TRIGGER campaign_recipients_count_update AFTER UPDATE ON campaign_recipients
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_recipients_update();
CREATE TRIGGER campaign_recipients_count_delete AFTER DELETE ON campaign_recipients
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION count_recipients_delete();

CREATE FUNCTION refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'TRUNCATE of % would make the counters wrong', TG_TABLE_NAME
        USING HINT = 'Use DELETE: it is counted.', ERRCODE = 'feature_not_supported';
END $$;
CREATE TRIGGER campaign_recipients_no_truncate BEFORE TRUNCATE ON campaign_recipients
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();

-- ------------------------------------------------------------------------------------------------------- sink offsets

CREATE TABLE sink_offsets (
    topic           text NOT NULL,
    topic_partition integer NOT NULL,
    cluster_id      text NOT NULL,
    topic_id        text NOT NULL,
    next_offset     bigint NOT NULL CHECK (next_offset >= 0),
    updated_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (topic, topic_partition)
);

-- Compare and set; raises, so that a pipelined commit cannot pass where another sink was faster.
CREATE FUNCTION advance_sink_offset(
    in_topic text, in_partition integer, in_cluster_id text, in_topic_id text, expected bigint, next bigint
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE sink_offsets SET next_offset = next, updated_at = clock_timestamp()
    WHERE topic = in_topic AND topic_partition = in_partition
      AND cluster_id = in_cluster_id AND topic_id = in_topic_id AND next_offset = expected;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'offset of %/% is not % any more', in_topic, in_partition, expected
            USING ERRCODE = 'CS001';
    END IF;
END $$;

-- ---------------------------------------------------------------------------------------------------------------- api

CREATE TABLE idempotency_keys (
    key             text PRIMARY KEY,
    request_hash    bytea NOT NULL,
    response_status integer,
    response_body   jsonb,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
