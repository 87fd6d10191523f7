-- The whole schema, in reading order: ids, campaigns, people, recipients, messages, subscriptions, installation, releases
-- and ledger with the breakers, counters, sink offsets, operations, API. Every object is defined before it is used.
--
-- This file is for readers and for tests. `campaigns db migrate` applies the files of tables/migrations/, and a test
-- checks that both give the same catalog. It contains no data.
--
-- A recipient's row stores facts. status, retry_count, failure_reason and next_attempt_at are generated from the facts,
-- so they cannot contradict them. docs/architecture.md explains each fact.

-- ---------------------------------------------------------------------------------------------------------------- ids

-- Every id is a version 7 UUID (RFC 9562): 48 bits of Unix milliseconds, then random bits. New rows therefore go to the
-- end of an index, and the function works on PostgreSQL 15 to 18, of which only 18 has uuidv7().

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

-- A campaign is a template, a language, a sending number and its recipients. Its status changes by the table in
-- domain/lifecycle.py; a pause always has a reason.

CREATE TABLE marketing_campaigns (
    id               uuid PRIMARY KEY DEFAULT campaigns_uuid_v7(),
    name             text NOT NULL CHECK (name <> ''),
    template_name    text NOT NULL CHECK (template_name <> ''),
    language_code    text NOT NULL,
    daily_send_limit integer CHECK (daily_send_limit > 0),
    phone_number_id  text NOT NULL CHECK (phone_number_id <> ''),
    time_zone        text NOT NULL DEFAULT 'UTC',
    country          text CHECK (country ~ '^[A-Z]{2}$'),
    status           text NOT NULL DEFAULT 'draft'
                     CHECK (status IN ('draft', 'active', 'paused', 'completed', 'cancelled')),
    pause_reason     text,
    activated_at     timestamptz,
    completed_at     timestamptz,
    created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    planning         boolean NOT NULL DEFAULT false,
    started_at       timestamptz,
    replanning       boolean NOT NULL DEFAULT false,
    window_days      text[] NOT NULL DEFAULT '{mon,tue,wed,thu,fri,sat,sun}',
    window_from      text NOT NULL DEFAULT '00:00',
    window_to        text NOT NULL DEFAULT '24:00',
    window_zone      text NOT NULL DEFAULT 'campaign' CHECK (window_zone IN ('campaign', 'recipient')),
    quiet_from       text,
    quiet_to         text,
    start_at         timestamptz,
    stale_after_hours integer DEFAULT 24 CHECK (stale_after_hours BETWEEN 1 AND 8760),
    canary           boolean NOT NULL DEFAULT true,
    canary_percent   double precision NOT NULL DEFAULT 1 CHECK (canary_percent BETWEEN 0.01 AND 100),
    canary_min       integer NOT NULL DEFAULT 50 CHECK (canary_min BETWEEN 1 AND 1000000),
    canary_max       integer NOT NULL DEFAULT 500 CHECK (canary_max BETWEEN 1 AND 1000000),
    canary_wait_minutes integer NOT NULL DEFAULT 10 CHECK (canary_wait_minutes BETWEEN 1 AND 1440),
    failure_limit_percent double precision NOT NULL DEFAULT 15 CHECK (failure_limit_percent BETWEEN 0 AND 100),
    opt_out_limit_percent double precision NOT NULL DEFAULT 2 CHECK (opt_out_limit_percent BETWEEN 0 AND 100),
    block_limit_percent double precision NOT NULL DEFAULT 15 CHECK (block_limit_percent BETWEEN 0 AND 100),
    unknown_limit_percent double precision NOT NULL DEFAULT 5 CHECK (unknown_limit_percent BETWEEN 0 AND 100),
    frequency_capped boolean NOT NULL DEFAULT true,
    cap_wait_days    integer NOT NULL DEFAULT 7 CHECK (cap_wait_days BETWEEN 0 AND 365),
    exclude_campaigns uuid[] NOT NULL DEFAULT '{}' CHECK (cardinality(exclude_campaigns) <= 20),
    exclude_recipients text NOT NULL DEFAULT 'sent' CHECK (exclude_recipients IN ('all', 'sent', 'delivered', 'read')),
    template_edited_at timestamptz,
    template_fit     text CHECK (template_fit IN ('fits', 'misfits', 'unreadable')),
    endpoint         text CHECK (endpoint IN ('messages', 'marketing_messages')),
    CHECK ((status = 'paused') = (pause_reason IS NOT NULL)),
    -- A job must be able to carry them. A paused or cancelled campaign sends nothing, and must be able to become either.
    CONSTRAINT marketing_campaigns_sendable CHECK (status IN ('paused', 'cancelled') OR (
        language_code ~ '^[a-z]{2,3}(_[A-Za-z0-9]{2,8})?$' AND length(template_name) <= 512
        AND length(phone_number_id) <= 64 AND time_zone ~ '^[A-Za-z][A-Za-z0-9_+/-]{0,99}$')),
    CONSTRAINT marketing_campaigns_window CHECK (
        cardinality(window_days) > 0 AND window_days <@ '{mon,tue,wed,thu,fri,sat,sun}'::text[]
        AND window_from ~ '^([01][0-9]|2[0-3]):[0-5][0-9]$' AND window_to ~ '^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$'
        AND window_from COLLATE "C" < window_to COLLATE "C"
        AND quiet_from ~ '^([01][0-9]|2[0-3]):[0-5][0-9]$' AND quiet_to ~ '^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$'
        AND (quiet_from IS NULL) = (quiet_to IS NULL) AND quiet_from <> quiet_to)
);
COMMENT ON COLUMN marketing_campaigns.country IS
    'ISO code: numbers without + and 00 are read as national numbers of this country; NULL: they must be complete';
CREATE INDEX marketing_campaigns_status ON marketing_campaigns (status, id);
CREATE INDEX marketing_campaigns_edited ON marketing_campaigns (template_edited_at, id)
    WHERE template_edited_at IS NOT NULL AND template_fit IS NULL AND status = 'active';
CREATE INDEX marketing_campaigns_planning ON marketing_campaigns (id) WHERE planning;
COMMENT ON COLUMN marketing_campaigns.planning IS 'Recipients without a planned time wait for the scheduler';
COMMENT ON COLUMN marketing_campaigns.started_at IS 'When it last became active: by an operator, or because it was reopened';
COMMENT ON COLUMN marketing_campaigns.window_zone IS
    'Whose clock the window follows: that of time_zone, or those of the country of the recipient''s number';
COMMENT ON COLUMN marketing_campaigns.start_at IS 'Nothing is sent before; NULL: sending starts with the activation';
COMMENT ON COLUMN marketing_campaigns.stale_after_hours IS
    'The campaign is paused if nothing could be sent for so long although recipients waited; NULL: never';
COMMENT ON COLUMN marketing_campaigns.canary IS
    'Whether it sends to its first people and waits for their outcomes (domain/canary.py)';
COMMENT ON COLUMN marketing_campaigns.failure_limit_percent IS
    'The campaign is paused when surely a larger share of its people failed; 100: never. The other limits likewise';
COMMENT ON COLUMN marketing_campaigns.frequency_capped IS 'Whether its messages keep to the frequency cap';
COMMENT ON COLUMN marketing_campaigns.cap_wait_days IS
    'How many days after its planned time a recipient waits for the frequency cap; 0: it is skipped at once';
COMMENT ON COLUMN marketing_campaigns.exclude_campaigns IS
    'Campaigns whose recipients are left out; one that was deleted has none';
COMMENT ON COLUMN marketing_campaigns.exclude_recipients IS 'Which of their recipients (domain/exclusions.py)';
COMMENT ON COLUMN marketing_campaigns.template_edited_at IS
    'When Meta last reported that the template was edited while the campaign was active';
COMMENT ON COLUMN marketing_campaigns.template_fit IS
    'Whether the parameters fit the edited template; NULL: not compared (domain/template_edits.py)';
COMMENT ON COLUMN marketing_campaigns.endpoint IS 'Where its messages are posted; NULL: as CAMPAIGNS_WHATSAPP_ENDPOINT says';
COMMENT ON COLUMN marketing_campaigns.replanning IS
    'The daily limit changed: recipients that are not released leave the old plan before the new one begins';
COMMENT ON COLUMN marketing_campaigns.daily_send_limit IS 'Sends per day of the campaign''s time zone; NULL: no limit';

-- Sets updated_at, unless the statement has set it.
CREATE FUNCTION touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END $$;
CREATE TRIGGER marketing_campaigns_touch BEFORE UPDATE ON marketing_campaigns FOR EACH ROW
    WHEN (NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at) EXECUTE FUNCTION touch_updated_at();

-- Campaigns by which an operator sends the message of another campaign to himself. Lists of campaigns leave them out.
CREATE TABLE test_sends (
    campaign_id uuid PRIMARY KEY REFERENCES marketing_campaigns (id) ON DELETE CASCADE,
    test_of     uuid NOT NULL
);
CREATE INDEX test_sends_of ON test_sends (test_of, campaign_id);
COMMENT ON COLUMN test_sends.test_of IS 'The campaign whose message is tested. It may have been deleted since.';

-- How far the rows of another table are taken over into a campaign, so that an interrupted adoption goes on. Its key keeps
-- such a campaign from being deleted: its messages were sent.
CREATE TABLE adoptions (
    campaign_id  uuid PRIMARY KEY REFERENCES marketing_campaigns (id),
    source       text NOT NULL,
    done_through text,
    adopted      bigint NOT NULL DEFAULT 0,
    refused      bigint NOT NULL DEFAULT 0,
    begun_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at     timestamptz
);
COMMENT ON COLUMN adoptions.done_through IS 'The last key whose row is in the campaign and whose events are in Kafka';

-- When the sending of a campaign was last in order: something was released, or nothing was due. The scheduler writes it
-- every minute, so after an outage it shows how long nothing could be sent.
CREATE TABLE campaign_watch (
    campaign_id uuid PRIMARY KEY REFERENCES marketing_campaigns (id) ON DELETE CASCADE,
    in_order_at timestamptz NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- The canary of an activated campaign, and the windows in which its figures are measured afterwards. Figures are those of
-- domain/shares.py. `allowed` is the number of people that may get their first attempt: a release obeys it.
CREATE TABLE campaign_canaries (
    campaign_id uuid PRIMARY KEY REFERENCES marketing_campaigns (id) ON DELETE CASCADE,
    step        smallint NOT NULL DEFAULT 0 CHECK (step >= 0),
    allowed     bigint CHECK (allowed > 0),
    released    bigint NOT NULL DEFAULT 0 CHECK (released >= 0),
    filled_at   timestamptz,
    base        jsonb NOT NULL,
    windows     jsonb,
    stopped_at  timestamptz
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
COMMENT ON COLUMN campaign_canaries.allowed IS 'NULL: the canary is over, or the campaign is too small for one';
COMMENT ON COLUMN campaign_canaries.filled_at IS 'Since when everybody of the step has the first attempt';
COMMENT ON COLUMN campaign_canaries.stopped_at IS 'When the figures paused the campaign; a resume begins a new canary';

-- The recipients of a campaign whose messages opt-outs follow. The counter funnel/opted_out counts those with an opt-out.
CREATE TABLE campaign_opt_outs (
    campaign_id  uuid NOT NULL REFERENCES marketing_campaigns (id) ON DELETE CASCADE,
    recipient_id uuid NOT NULL,
    opt_outs     integer NOT NULL DEFAULT 1,
    PRIMARY KEY (campaign_id, recipient_id)
);
COMMENT ON COLUMN campaign_opt_outs.opt_outs IS 'The opt-outs that follow messages of the recipient; 0: none any more';

-- The opt-outs of people, as webhooks stated them, each with the recipient whose message it follows (domain/opt_outs.py).
CREATE TABLE opt_outs (
    person       text NOT NULL,
    occurred_at  timestamptz NOT NULL,
    wamid        text NOT NULL DEFAULT '',
    recipient_id uuid,
    rounds       smallint NOT NULL DEFAULT 0,
    attribute_at timestamptz DEFAULT clock_timestamp(),
    PRIMARY KEY (person, occurred_at, wamid)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX opt_outs_due ON opt_outs (attribute_at) WHERE attribute_at IS NOT NULL;
COMMENT ON COLUMN opt_outs.wamid IS 'The message that the opt-out answers; empty: it names none';
COMMENT ON COLUMN opt_outs.attribute_at IS 'When it is attributed again; NULL: its message is final';

-- ------------------------------------------------------------------------------------------------------------- people

-- One key for each human, whichever spelling of the phone number a list, an answer or a webhook has.
-- Both functions have parsed bodies (RETURN), which bind the names in them when they are created: a restore of a dump
-- computes the generated column with an empty search path.

-- The key of a person in another spelling of the same phone number; NULL if the digits are not in this spelling.
CREATE FUNCTION person_respelled(digits text, spelling text, key text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN digits ~ spelling THEN regexp_replace(digits, spelling, key) END;

-- The key of the person with this phone number: the table ALIASES of domain/people.py, whose comments name the changes
-- and their sources. A text that is in none of these spellings is its own key.
CREATE FUNCTION person_of(digits text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(CASE left(digits, 2)
        WHEN '20' THEN coalesce(
            person_respelled(digits, '^201([012])([0-9]{7})$', '201\1\1\2'),
            person_respelled(digits, '^2014([0-9]{7})$', '20114\1'),
            person_respelled(digits, '^201([69])([0-9]{7})$', '2010\1\2'),
            person_respelled(digits, '^201([78])([0-9]{7})$', '2012\1\2'))
        WHEN '22' THEN coalesce(
            person_respelled(digits, '^225([04-9][0-3][0-9]{6})$', '22501\1'),
            person_respelled(digits, '^225([04-9][4-6][0-9]{6})$', '22505\1'),
            person_respelled(digits, '^225([04-9][7-9][0-9]{6})$', '22507\1'),
            person_respelled(digits, '^229([2-9][0-9]{7})$', '22901\1'))
        WHEN '23' THEN coalesce(
            person_respelled(digits, '^230([79][0-9]{6})$', '2305\1'),
            person_respelled(digits, '^237([5-9][0-9]{7})$', '2376\1'))
        WHEN '24' THEN coalesce(
            person_respelled(digits, '^2410?([256])([0-9]{6})$', '2416\1\2'),
            person_respelled(digits, '^2410?([47])([0-9]{6})$', '2417\1\2'),
            person_respelled(digits, '^2410([67][0-9]{7})$', '241\1'))
        WHEN '37' THEN person_respelled(digits, '^378([89][0-9]{5})$', '3780549\1')
        WHEN '52' THEN person_respelled(digits, '^521([0-9]{10})$', '52\1')
        WHEN '54' THEN coalesce(
            person_respelled(digits, '^549([0-9]{10})$', '54\1'),
            person_respelled(digits,
                '^54(?=9?[123][0-9]{11}$)9?('
                '11|2(?:2(?:02?|[13]|2[13-79]|4[1-6]|5[2457]|6[124-8]|7[1-4]|8[13-6]|9[1267])|3(?:02?|1[467]'
                '|2[03-6]|3[13-8]|[49][2-6]|5[2-8]|[67])|4(?:7[3-578]|9)|6(?:[0136]|2[24-6]|4[6-8]?|5[15-8])'
                '|80|9(?:0[1-3]|[19]|2[0-9]|3[1-6]|4[02568]?|5[2-4]|6[2-46]|72?|8[23]?))|3(?:3(?:2[79]|6'
                '|8[2578])|4(?:0[0-24-9]|[12]|3[5-8]?|4[24-7]|5[4-68]?|6[02-9]|7[126]|8[2379]?|9[1-36-8])'
                '|5(?:1|2[1245]|3[237]?|4[1-46-9]|6[2-4]|7[1-6]|8[2-5]?)|6[24]|7(?:[069]|1[1568]|2[15]|3[145]'
                '|4[13]|5[14-8]|7[2-57]|8[126])|8(?:[01]|2[15-7]|3[2578]?|4[13-6]|5[4-8]?|6[1-357-9]|7[36-8]?'
                '|8[5-8]?|9[124]))'
                ')15([0-9]+)$', '54\1\2'))
        WHEN '55' THEN person_respelled(digits, '^55([1-9][1-9])([016-9][0-9]{7})$', '55\19\2')
        WHEN '57' THEN person_respelled(digits, '^57([124-8])([0-9]{7})$', '5760\1\2')
        WHEN '59' THEN person_respelled(digits, '^593([89][0-9]{7})$', '5939\1')
        WHEN '68' THEN person_respelled(digits, '^689([237][0-9]{5})$', '68987\1')
        WHEN '84' THEN coalesce(
            person_respelled(digits, '^8416([2-9])([0-9]{7})$', '843\1\2'),
            person_respelled(digits, '^84120([0-9]{7})$', '8470\1'),
            person_respelled(digits, '^84121([0-9]{7})$', '8479\1'),
            person_respelled(digits, '^84122([0-9]{7})$', '8477\1'),
            person_respelled(digits, '^8412([68])([0-9]{7})$', '847\1\2'),
            person_respelled(digits, '^8412([345])([0-9]{7})$', '848\1\2'),
            person_respelled(digits, '^84127([0-9]{7})$', '8481\1'),
            person_respelled(digits, '^84129([0-9]{7})$', '8482\1'),
            person_respelled(digits, '^8418([68])([0-9]{7})$', '845\1\2'),
            person_respelled(digits, '^84199([0-9]{7})$', '8459\1'))
        WHEN '97' THEN coalesce(
            person_respelled(digits, '^972(5[69][0-9]{7})$', '970\1'),
            person_respelled(digits, '^974([3-7])([0-9]{6})$', '974\1\1\2'))
        WHEN '99' THEN person_respelled(digits, '^995([5-9][0-9]{7})$', '9955\1')
    END, digits);

-- --------------------------------------------------------------------------------------------------------- recipients

-- One row per person and campaign: its facts, and the columns generated from them. The functions repeat the rules
-- of domain/status.py and domain/facts.py in SQL; contract tests compare both on the same facts.

-- The status. The first condition that holds decides.
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

-- When a row may be released (again). NULL: the scheduler does not release it without a new fact.
-- It takes fifteen columns and not the row, because a generated column may not refer to the whole row. The time of a retry
-- is added in UTC: the sum of a timestamptz and an interval depends on the session's time zone to PostgreSQL, which then
-- calls the function for each row (3 µs) and does not inline it.
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
            WHEN failure_class = 'backoff' OR failure_class = 'held_back' AND bit_count(held_back_attempts::bit(64)) < 3
                THEN (failed_at AT TIME ZONE 'UTC' + failure_backoff_s * interval '1 second') AT TIME ZONE 'UTC'
        END
    END
$$;

CREATE TABLE campaign_recipients (
    id                  uuid PRIMARY KEY DEFAULT campaigns_uuid_v7(),
    campaign_id         uuid NOT NULL,
    -- A pattern with the count of digits takes three times as long, for each row that is added or changed.
    phone_number        text CHECK (phone_number ~ '^[1-9][0-9]*$' AND length(phone_number) BETWEEN 7 AND 15),
    user_id             text CHECK (user_id ~ '^[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}$'),
    repetition          smallint NOT NULL DEFAULT 0 CHECK (repetition >= 0),
    template_parameters jsonb,
    scheduled_send_date timestamptz,
    max_retries         smallint NOT NULL DEFAULT 3 CHECK (max_retries BETWEEN 0 AND 60),
    created_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Facts. They only grow: a merge takes the greatest, the least or the bitwise or.
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
    -- The key of the person, generated from the dialled number, or from the user id of somebody without one.
    person              text NOT NULL GENERATED ALWAYS AS (
                            coalesce(person_of(phone_number), 'user:' || user_id)) STORED,
    -- Generated from the facts. They cannot be written; write a fact instead.
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
    window_country      text COLLATE "C",
    capped_until        timestamptz,
    price               text COLLATE "C",
    UNIQUE (campaign_id, phone_number),
    UNIQUE (campaign_id, person, repetition),
    CHECK (sent_at <= delivered_at AND delivered_at <= read_at),
    CHECK (delivered_at IS NULL OR sent_at IS NOT NULL),
    CHECK (read_at IS NULL OR delivered_at IS NOT NULL)
) WITH (fillfactor = 80);

CREATE UNIQUE INDEX campaign_recipients_user ON campaign_recipients (campaign_id, user_id) WHERE user_id IS NOT NULL;
-- For the search by the beginning of a user id. It compares bytes, so it is right in every collation.
CREATE INDEX campaign_recipients_user_search ON campaign_recipients (campaign_id, user_id text_pattern_ops)
    WHERE user_id IS NOT NULL;
COMMENT ON COLUMN campaign_recipients.user_id IS
    'The business-scoped user id of WhatsApp. Without a phone number the message is sent to it';
COMMENT ON COLUMN campaign_recipients.price IS
    'A fact: attempt, category and charge of the newest attempt that has a price, such as `01 marketing/billable`';
COMMENT ON COLUMN campaign_recipients.repetition IS
    '0: the first row of its person in the campaign. Above: a row that repeats the person; it is skipped, not sent';

CREATE INDEX campaign_recipients_page ON campaign_recipients (campaign_id, id);
-- Recipients without a planned time: those of a draft, and those that the scheduler still has to plan.
CREATE INDEX campaign_recipients_unplanned ON campaign_recipients (campaign_id, id)
    WHERE attempt = 0 AND scheduled_send_date IS NULL;
-- For lists by status. The facts in these conditions change only with the event that makes the status.
CREATE INDEX campaign_recipients_failed ON campaign_recipients (campaign_id, id) WHERE failed_attempts <> 0;
CREATE INDEX campaign_recipients_skipped ON campaign_recipients (campaign_id, id) WHERE skipped_attempt IS NOT NULL;
CREATE INDEX campaign_recipients_unknown ON campaign_recipients (campaign_id, id) WHERE unknown_attempt IS NOT NULL;
-- The only indexes that find due rows: those without an attempt, and those with one. They must not name status: a HOT
-- update may change no indexed column, and every event changes the status. The attempt changes only with a release,
-- which also changes when the row is due.
CREATE INDEX campaign_recipients_due_fresh ON campaign_recipients (campaign_id, next_attempt_at, id)
    WHERE next_attempt_at IS NOT NULL AND attempt = 0;
CREATE INDEX campaign_recipients_due_tried ON campaign_recipients (campaign_id, next_attempt_at, id)
    WHERE next_attempt_at IS NOT NULL AND attempt > 0;
-- The same for campaigns whose window follows the clocks of the recipients' countries.
CREATE INDEX campaign_recipients_window_fresh ON campaign_recipients (campaign_id, window_country, next_attempt_at, id)
    WHERE next_attempt_at IS NOT NULL AND attempt = 0 AND window_country IS NOT NULL;
CREATE INDEX campaign_recipients_window_tried ON campaign_recipients (campaign_id, window_country, next_attempt_at, id)
    WHERE next_attempt_at IS NOT NULL AND attempt > 0 AND window_country IS NOT NULL;
COMMENT ON COLUMN campaign_recipients.window_country IS
    'The country whose clocks the window follows; empty: those of the campaign; NULL: the campaign follows its own';

COMMENT ON COLUMN campaign_recipients.capped_until IS
    'The time to which the frequency cap deferred it last; it waits for the cap while deferred_until is the same';

-- The countries of the planned recipients of a campaign that follows them. A release judges the clocks of these only.
CREATE TABLE campaign_countries (
    campaign_id uuid NOT NULL REFERENCES marketing_campaigns (id) ON DELETE CASCADE,
    country     text COLLATE "C" NOT NULL,
    PRIMARY KEY (campaign_id, country)
);

-- A recipient that is inserted with a planned time is not planned, so it follows the clock of the campaign.
CREATE FUNCTION follow_campaign_clock() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT window_zone FROM marketing_campaigns WHERE id = NEW.campaign_id) = 'recipient' THEN
        NEW.window_country := '';
        INSERT INTO campaign_countries VALUES (NEW.campaign_id, '') ON CONFLICT DO NOTHING;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER campaign_recipients_clock BEFORE INSERT ON campaign_recipients FOR EACH ROW
    WHEN (NEW.scheduled_send_date IS NOT NULL AND NEW.window_country IS NULL) EXECUTE FUNCTION follow_campaign_clock();

-- Sets updated_at of the rows for which the statement has not set it. A trigger before the update locks each row once more,
-- and makes Postgres compute all generated columns again. Our statements set the column themselves, so this trigger only
-- reads the times of their rows.
CREATE FUNCTION touch_recipients() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF ((SELECT min(updated_at) FROM new_rows) > (SELECT max(updated_at) FROM old_rows)) IS NOT FALSE THEN
        RETURN NULL;  -- every row has a later time than before
    END IF;
    UPDATE campaign_recipients SET updated_at = clock_timestamp()
    WHERE id = ANY (ARRAY(SELECT n.id FROM new_rows AS n LEFT JOIN old_rows AS o USING (id)
                          WHERE (o.id IS NULL OR n.updated_at = o.updated_at)
                            AND n.updated_at <> clock_timestamp()));  -- with a clock that stands still it would not end
    RETURN NULL;
END $$;
CREATE TRIGGER campaign_recipients_touch AFTER UPDATE ON campaign_recipients
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION touch_recipients();

-- A recipient belongs to a campaign that exists, and a campaign with recipients stays. A foreign key says the same, but it
-- looks for the campaign of each row, which took a quarter of an import. These triggers look once for each campaign of a
-- statement. They lock and refuse as a foreign key does. Releases have the same triggers; a release may be older than the
-- deletion of its recipient.
CREATE FUNCTION require_campaigns() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    missing uuid;
BEGIN
    WITH named AS MATERIALIZED (SELECT DISTINCT campaign_id FROM new_rows),
    kept AS MATERIALIZED (
        SELECT id FROM marketing_campaigns WHERE id IN (SELECT campaign_id FROM named) ORDER BY id FOR KEY SHARE)
    SELECT campaign_id INTO missing FROM named WHERE campaign_id NOT IN (SELECT id FROM kept) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the campaign % of a row of % does not exist', missing, TG_TABLE_NAME
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION require_campaign() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM marketing_campaigns WHERE id = NEW.campaign_id FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the campaign % of a row of % does not exist', NEW.campaign_id, TG_TABLE_NAME
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER campaign_recipients_campaign AFTER INSERT ON campaign_recipients
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION require_campaigns();
CREATE TRIGGER campaign_recipients_campaign_again AFTER UPDATE OF campaign_id ON campaign_recipients FOR EACH ROW
    WHEN (OLD.campaign_id IS DISTINCT FROM NEW.campaign_id) EXECUTE FUNCTION require_campaign();

-- The recipients that another transaction has just added are seen in READ COMMITTED only.
CREATE FUNCTION keep_campaign() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'a campaign can be deleted in the isolation level READ COMMITTED only'
            USING ERRCODE = 'feature_not_supported';
    END IF;
    IF EXISTS (SELECT FROM campaign_recipients WHERE campaign_id = OLD.id) THEN
        RAISE EXCEPTION 'the campaign % has recipients', OLD.id USING ERRCODE = 'foreign_key_violation';
    END IF;
    IF EXISTS (SELECT FROM releases WHERE campaign_id = OLD.id) THEN
        RAISE EXCEPTION 'the campaign % has releases', OLD.id USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER marketing_campaigns_kept AFTER DELETE ON marketing_campaigns FOR EACH ROW
    EXECUTE FUNCTION keep_campaign();
CREATE TRIGGER marketing_campaigns_kept_as_named AFTER UPDATE OF id ON marketing_campaigns FOR EACH ROW
    WHEN (OLD.id IS DISTINCT FROM NEW.id) EXECUTE FUNCTION keep_campaign();

-- The merge of two facts of one kind: the tuple comparisons of domain/facts.py. Each function returns true if the new
-- fact (n) ranks above the known one (k), and the merge then keeps the new one. An earlier time ranks higher, so the two
-- times are swapped in the comparison. Each is a single expression, so the planner inlines it.

CREATE FUNCTION recipient_accepts(
    n_attempt smallint, n_at timestamptz, n_wamid text, k_attempt smallint, k_at timestamptz, k_wamid text
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT n_attempt IS NOT NULL AND (k_attempt IS NULL
        OR (n_attempt, n_wamid IS NOT NULL, k_at, coalesce(n_wamid, '') COLLATE "C")
         > (k_attempt, k_wamid IS NOT NULL, n_at, coalesce(k_wamid, '') COLLATE "C"))
$$;

CREATE FUNCTION recipient_fails(
    n_attempt smallint, n_at timestamptz, n_code integer, n_text text, n_class text, n_backoff_s integer,
    k_attempt smallint, k_at timestamptz, k_code integer, k_text text, k_class text, k_backoff_s integer
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT n_attempt IS NOT NULL AND (k_attempt IS NULL
        OR (n_attempt, n_code IS NOT NULL, k_at, coalesce(n_code, -1), n_text COLLATE "C", n_class COLLATE "C", n_backoff_s)
         > (k_attempt, k_code IS NOT NULL, n_at, coalesce(k_code, -1), k_text COLLATE "C", k_class COLLATE "C", k_backoff_s))
$$;

CREATE FUNCTION recipient_waits(
    n_attempt smallint, n_until timestamptz, k_attempt smallint, k_until timestamptz
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT n_attempt IS NOT NULL AND (k_attempt IS NULL OR (n_attempt, n_until) > (k_attempt, k_until))
$$;

CREATE FUNCTION recipient_skips(
    n_attempt smallint, n_reason text, k_attempt smallint, k_reason text
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT n_attempt IS NOT NULL AND (k_attempt IS NULL
        OR (n_attempt, n_reason COLLATE "C") > (k_attempt, k_reason COLLATE "C"))
$$;

-- ----------------------------------------------------------------------------------------------------------- messages

-- One row per wamid: the attempt that it belongs to, its price, and the statuses that arrived before the wamid was known
-- ("parked"). They share one table so that the writer of the wamid and the writer of an early status upsert the same
-- row: whichever commits second sees the other's values.

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
    price             text COLLATE "C",
    CHECK ((recipient_id IS NULL) = (attempt IS NULL))
);
COMMENT ON COLUMN messages.price IS 'The price of parked statuses, as the fact of a recipient';
CREATE INDEX messages_recipient ON messages (recipient_id, attempt) WHERE recipient_id IS NOT NULL;
CREATE INDEX messages_parked ON messages (first_seen_at) WHERE recipient_id IS NULL;

-- The same comparison as recipient_fails, for parked failures.
CREATE FUNCTION message_fails(n messages, k messages) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT n.failed_at IS NOT NULL AND (k.failed_at IS NULL
        OR (n.failure_code IS NOT NULL, k.failed_at, coalesce(n.failure_code, -1),
            n.failure_text COLLATE "C", n.failure_class COLLATE "C", n.failure_backoff_s)
         > (k.failure_code IS NOT NULL, n.failed_at, coalesce(k.failure_code, -1),
            k.failure_text COLLATE "C", k.failure_class COLLATE "C", k.failure_backoff_s))
$$;

-- The earliest price of a message is kept. Equal times are ordered by type, then by category.
CREATE FUNCTION message_is_priced(n messages, k messages) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT n.pricing_at IS NOT NULL AND (k.pricing_at IS NULL
        OR (n.pricing_at, n.pricing_type COLLATE "C", n.pricing_category COLLATE "C")
         < (k.pricing_at, k.pricing_type COLLATE "C", k.pricing_category COLLATE "C"))
$$;

-- Statuses for wamids that stayed unknown for a day: they belong to another system on our number. Only their count is
-- kept.
CREATE TABLE foreign_statuses (
    day             date NOT NULL,
    phone_number_id text NOT NULL,
    n               bigint NOT NULL,
    PRIMARY KEY (day, phone_number_id)
);

-- Attempts with more than one wamid: each second wamid proves a double send. The rows are never deleted, and they raise
-- an alarm.
CREATE TABLE double_sends (
    recipient_id uuid NOT NULL,
    attempt      smallint NOT NULL,
    wamid        text COLLATE "C" NOT NULL,
    seen_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (recipient_id, attempt, wamid)
);

-- Retention (tables/retention.py) deletes old messages. Each leaves the key of its wamid here, with its recipient, so that a
-- status that comes later or is replayed still finds its row, and a second wamid of the attempt still shows a double send.

-- A fixed-size key of a wamid.
CREATE FUNCTION wamid_key(wamid text) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN encode(substring(sha256(convert_to(wamid, 'UTF8')) FROM 1 FOR 16), 'hex')::uuid;

CREATE TABLE old_messages (
    wamid_key    uuid PRIMARY KEY,
    recipient_id uuid NOT NULL,
    attempt      smallint NOT NULL CHECK (attempt BETWEEN 1 AND 62)
);
CREATE INDEX old_messages_recipient ON old_messages (recipient_id, attempt);

-- ---------------------------------------------------------------------------------------------- subscriptions, outbox

-- Opt-outs and opt-ins by person, valid for every campaign. A claim is refused while any source has unsubscribed the
-- person.

CREATE TABLE subscriptions (
    person      text NOT NULL,
    source      text NOT NULL CHECK (source IN ('keyword', 'platform', 'operator')),
    subscribed  boolean NOT NULL,
    occurred_at timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    opted_out_at timestamptz,
    PRIMARY KEY (person, source)
);
COMMENT ON COLUMN subscriptions.opted_out_at IS 'The latest opt-out, also before a later opt-in';

-- A row has the key of its person, also if it was written by hand with another spelling of the number, and its opt-out.
CREATE FUNCTION key_subscription() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.person := person_of(NEW.person);
    NEW.opted_out_at := greatest(NEW.opted_out_at, CASE WHEN NOT NEW.subscribed THEN NEW.occurred_at END);
    RETURN NEW;
END $$;
CREATE TRIGGER subscriptions_key BEFORE INSERT OR UPDATE ON subscriptions
    FOR EACH ROW EXECUTE FUNCTION key_subscription();

-- Two keys of one human, as an answer or a webhook stated them: a phone number and a user id, a number dialled and its
-- `wa_id`, or a number and the one before. Each link has a row for both directions.
CREATE TABLE person_links (
    person    text NOT NULL,
    linked_to text NOT NULL,
    same_account boolean NOT NULL DEFAULT true,
    PRIMARY KEY (person, linked_to)
);
COMMENT ON COLUMN person_links.same_account IS
    'Both keys name one account; false: one human has left one of them, and it may belong to somebody else';

-- A recipient with a number and a user id links them, for every writer. The order keeps it and a sink from a deadlock.
CREATE FUNCTION link_recipients() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO person_links AS l (person, linked_to, same_account)
    SELECT person, 'user:' || user_id, true FROM new_rows WHERE phone_number IS NOT NULL AND user_id IS NOT NULL
    UNION
    SELECT 'user:' || user_id, person, true FROM new_rows WHERE phone_number IS NOT NULL AND user_id IS NOT NULL
    ORDER BY 1, 2
    ON CONFLICT (person, linked_to) DO UPDATE SET same_account = true WHERE NOT l.same_account;
    RETURN NULL;
END $$;
CREATE TRIGGER campaign_recipients_link AFTER INSERT ON campaign_recipients
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION link_recipients();

-- The keys that links lead to from a key, itself included, and whether all links on the way are of one account. A key
-- with more than 16 links is the end of the way, and so are 64 keys: one wrong `wa_id` cannot join many people.
-- domain/subscriptions.py repeats it.
CREATE FUNCTION reach_of(in_person text) RETURNS TABLE (person text, same_account boolean) LANGUAGE sql STABLE AS $$
    WITH RECURSIVE reach (person, same_account) AS (
        SELECT in_person, true
        UNION
        SELECT near.linked_to, reach.same_account AND near.same_account
        FROM reach CROSS JOIN LATERAL (
            SELECT first.linked_to, first.same_account, count(*) OVER () AS n
            FROM (SELECT l.linked_to, l.same_account FROM person_links AS l
                  WHERE l.person = reach.person ORDER BY l.linked_to LIMIT 17) AS first
        ) AS near
        WHERE near.n <= 16 OR reach.person = in_person
    )
    SELECT person, same_account FROM reach LIMIT 64
$$;

-- The keys of a human: those that reach_of leads to. Most humans have one key, or two or three that are linked with each
-- other only. For them two searches by index are a third of the walk.
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

CREATE FUNCTION keys_of(in_person text) RETURNS SETOF text LANGUAGE sql STABLE AS $$
    SELECT unnest(person_keys(in_person))
$$;

-- The sources that have unsubscribed a person. An opt-out under any key of the human holds. Only a later opt-in under a key
-- of the same account revokes it: the opt-in of a stranger who has got the human's old number does not. Of two statements
-- at one moment the opt-out holds.
CREATE FUNCTION sources_out(in_person text) RETURNS SETOF text LANGUAGE sql STABLE AS $$
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

-- Whether a source has unsubscribed the person. Releases and claims decide by it.
CREATE FUNCTION is_unsubscribed(in_person text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
    keys text[] := person_keys(in_person);
BEGIN
    -- Most people have no statement under any key. For them the searches by index are a fraction of the query.
    IF NOT EXISTS (SELECT FROM subscriptions AS s WHERE s.person = ANY (keys)) THEN
        RETURN false;
    END IF;
    RETURN EXISTS (SELECT FROM sources_out(in_person));
END $$;

-- Whether a human is left out, under any key, because of the other campaigns (domain/exclusions.py).
CREATE FUNCTION is_excluded(in_person text, campaigns uuid[], recipients text) RETURNS boolean LANGUAGE sql STABLE AS $$
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

-- Events of `subscription.events` that are not applied completely: the recipient of the message that they name is not
-- known yet, or another session has locked their row.
CREATE TABLE waiting_subscriptions (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    waits_since timestamptz NOT NULL DEFAULT clock_timestamp(),
    is_locked   boolean NOT NULL,
    person      text,
    wamid       text,
    source      text NOT NULL,
    subscribed  boolean NOT NULL,
    occurred_at timestamptz NOT NULL,
    event       text NOT NULL,
    CONSTRAINT waiting_subscriptions_once UNIQUE NULLS NOT DISTINCT (wamid, person, source, occurred_at, subscribed)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX waiting_subscriptions_locked ON waiting_subscriptions (waits_since) WHERE is_locked;
COMMENT ON COLUMN waiting_subscriptions.is_locked IS
    'Its row in subscriptions was locked, so it is not applied; false: only the recipient of its message is not known';

-- Changes to publish to `subscription.events`: one row per change, written in the transaction of the change.
CREATE TABLE subscription_outbox (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    person       text NOT NULL,
    source       text NOT NULL,
    subscribed   boolean NOT NULL,
    occurred_at  timestamptz NOT NULL,
    published_at timestamptz
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
CREATE INDEX subscription_outbox_unpublished ON subscription_outbox (id) WHERE published_at IS NULL;

-- ------------------------------------------------------------------------------------------------------- installation

-- The server and the timeline that this data belongs to. After a restore or a failover the rows may be older than the
-- sends, and sending from them would send again. So while server or timeline differ from this row, nothing is released
-- or claimed, until `campaigns recover` has applied what the topics know and has written the new identity.

CREATE TABLE installation (
    is_only           boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    system_identifier bigint NOT NULL,
    timeline          text NOT NULL,
    epoch             integer NOT NULL DEFAULT 1,
    recovered_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Up to which moment all acknowledged webhooks are applied. While it is more than 60 s ago, senders claim nothing. Without
-- a row they claim: no scheduler has watched the webhooks yet.
CREATE TABLE webhook_progress (
    is_only         boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    applied_through timestamptz NOT NULL
);

-- The timeline of the WAL that is being written; NULL on a standby, which writes none, so that nothing is released there.
-- The control file shows a new timeline only after the next checkpoint.
CREATE FUNCTION current_timeline() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN NOT pg_is_in_recovery() THEN substring(pg_walfile_name(pg_current_wal_lsn()) FOR 8) END
$$;

CREATE FUNCTION installation_is_known() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM installation AS i
        WHERE i.system_identifier = (SELECT c.system_identifier FROM pg_control_system() AS c)
          AND i.timeline = current_timeline())
$$;

-- ------------------------------------------------------------------------------------------------ releases and ledger

-- The scheduler releases an attempt (releases), a sender claims it, posts it and settles it (send_ledger). The functions
-- below write every claim and every outcome, except `unknown`: the sweep writes it (sql/ledger.sql, declare_unknown).
--
-- The rule: WhatsApp's API has no idempotency key, so a second POST is a second message. A sender posts an attempt only
-- while it holds the claim: the ledger row with its token, committed before the POST. The primary key (recipient_id,
-- attempt) admits one row, so among all senders that hold a copy of the job exactly one gets the claim. A claim without
-- an outcome may have been posted. When its lease ends it becomes `unknown`, and an unknown attempt is never retried
-- automatically.
--
-- Claim, renewal and settlement are each ONE call in autocommit, so a frozen client holds no lock and leaves no
-- transaction open. Each is a VOLATILE PL/pgSQL function that first locks its rows and then decides: in such a function
-- every statement has a snapshot of its own, so the decision sees what was committed during the wait for the locks. A
-- single SQL statement would decide on the snapshot from before the wait, and could claim for a campaign that was paused
-- meanwhile. Campaign rows are never locked: sixteen claimers would delay a pause.

-- Attempts that were released and are not yet claimed or refused. The table stays small: the scheduler caps it, and a
-- claim or a refusal deletes the row.
CREATE TABLE releases (
    recipient_id      uuid NOT NULL,
    attempt           smallint NOT NULL CHECK (attempt BETWEEN 1 AND 62),
    campaign_id       uuid NOT NULL,
    phone_number_id   text NOT NULL,
    send_before       timestamptz NOT NULL,
    budget_day        date NOT NULL,
    released_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    publish_count     integer NOT NULL DEFAULT 0,
    published_at      timestamptz,
    job_partition     integer,
    job_offset        bigint,
    job_topic_id      text,
    PRIMARY KEY (recipient_id, attempt)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, fillfactor = 50);
COMMENT ON COLUMN releases.job_topic_id IS 'The id of the topic: in a recreated one the offset means nothing';
CREATE TRIGGER releases_campaign_exists AFTER INSERT ON releases
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION require_campaigns();
CREATE TRIGGER releases_campaign_exists_again AFTER UPDATE OF campaign_id ON releases FOR EACH ROW
    WHEN (OLD.campaign_id IS DISTINCT FROM NEW.campaign_id) EXECUTE FUNCTION require_campaign();
CREATE INDEX releases_campaign ON releases (campaign_id);
CREATE INDEX releases_number ON releases (phone_number_id);
COMMENT ON COLUMN releases.job_offset IS
    'Where the job was last published; it is published again once the sender''s group is past it';

-- One row per claimed or refused attempt: the claim, the outcome, and the event to publish (an outbox).
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
-- For `campaigns status`: the rate of sending, and messages without a webhook.
CREATE INDEX send_ledger_accepted ON send_ledger (outcome_at) WHERE outcome = 'accepted';
-- For the completion of campaigns, and for `trace`.
CREATE INDEX send_ledger_unknown ON send_ledger (campaign_id, outcome_at) WHERE outcome = 'unknown';
CREATE INDEX send_ledger_wamid ON send_ledger (wamid) WHERE wamid IS NOT NULL;
COMMENT ON COLUMN send_ledger.event IS 'The RecipientEvent as JSON, published byte for byte';

-- How many attempts a campaign has released on a day of its own time zone. An attempt that was not posted is given back.
CREATE TABLE campaign_days (
    campaign_id uuid NOT NULL REFERENCES marketing_campaigns (id),
    day         date NOT NULL,
    used        integer NOT NULL DEFAULT 0 CHECK (used >= 0),
    planned     integer NOT NULL DEFAULT 0 CHECK (planned >= 0),
    PRIMARY KEY (campaign_id, day)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
COMMENT ON COLUMN campaign_days.planned IS 'Recipients that were planned for this day when it was a later day';

-- Budget that is given back later, because another session had locked its day.
CREATE TABLE budget_returns (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign_id uuid NOT NULL,
    day         date NOT NULL,
    n           integer NOT NULL CHECK (n > 0)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE budget_returns IS 'Attempts that used the budget of a day and were not posted; the scheduler subtracts them';

-- The rate limit of a number: a token bucket that holds at most one second of sends.
CREATE TABLE number_rates (
    phone_number_id text PRIMARY KEY,
    tokens          double precision NOT NULL DEFAULT 0,
    refilled_at     timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- The rolling budget of people of the portfolio, over all campaigns and numbers (domain/portfolio.py).
CREATE TABLE portfolio (
    is_only      boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    people_max   integer CHECK (people_max > 0),
    window_s     double precision NOT NULL DEFAULT 86400 CHECK (window_s > 0),
    reported_max integer,
    reported_at  timestamptz,
    CHECK ((reported_max IS NULL) = (reported_at IS NULL))
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
COMMENT ON COLUMN portfolio.people_max IS 'The budget that the scheduler obeys; NULL: none, and nothing is charged';
COMMENT ON COLUMN portfolio.reported_max IS 'What Meta reported by webhook; -1: unlimited';

-- The released attempts of the window. One that was not posted is deleted.
CREATE TABLE portfolio_charges (
    recipient_id uuid NOT NULL,
    attempt      smallint NOT NULL,
    person       text COLLATE "C" NOT NULL,
    bucket       timestamptz NOT NULL,
    PRIMARY KEY (recipient_id, attempt)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
CREATE INDEX portfolio_charges_person ON portfolio_charges (person, bucket);
CREATE INDEX portfolio_charges_bucket ON portfolio_charges (bucket);

-- How many people have their newest charge in each bucket. Whoever changes it has locked the row of `portfolio`.
CREATE TABLE portfolio_buckets (
    began_at timestamptz PRIMARY KEY,
    people   integer NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- Charged attempts that were certainly not posted. The scheduler deletes their charges. Nobody who adds one waits for a
-- lock, and an attempt that is here twice is given back once.
CREATE TABLE portfolio_returns (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recipient_id uuid NOT NULL,
    attempt      smallint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE FUNCTION give_portfolio_back(recipients uuid[], attempts smallint[]) RETURNS void LANGUAGE sql VOLATILE AS $$
    INSERT INTO portfolio_returns (recipient_id, attempt)
    SELECT c.recipient_id, c.attempt FROM unnest(recipients, attempts) AS u (id, n)
    JOIN portfolio_charges AS c ON c.recipient_id = u.id AND c.attempt = u.n
$$;

-- Every writer of the ledger gives back what it settles as not sent. The condition of the triggers costs an accepted message
-- no call.
CREATE FUNCTION return_unposted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM give_portfolio_back(ARRAY[NEW.recipient_id], ARRAY[NEW.attempt]);
    RETURN NULL;
END $$;
CREATE TRIGGER send_ledger_refused AFTER INSERT ON send_ledger FOR EACH ROW
WHEN (NEW.outcome IN ('deferred', 'expired', 'skipped')) EXECUTE FUNCTION return_unposted();
CREATE TRIGGER send_ledger_unposted AFTER UPDATE OF outcome ON send_ledger FOR EACH ROW
WHEN (NEW.outcome IN ('deferred', 'expired', 'skipped') AND OLD.outcome IS DISTINCT FROM NEW.outcome)
EXECUTE FUNCTION return_unposted();

-- ------------------------------------------------------------------------------------------------------ frequency cap

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

-- Whether a human has another message of a number on its way, or got one a moment ago, under any key (domain/pairs.py).
CREATE FUNCTION is_pair_busy(
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

-- Our numbers as Meta shows them, and what Meta reported about numbers.
CREATE TABLE business_numbers (
    phone_number_id text PRIMARY KEY,
    digits          text CHECK (digits ~ '^[0-9]{1,20}$'),
    quality         text,
    throughput      text,
    state           text,
    read_at         timestamptz NOT NULL
);
CREATE INDEX business_numbers_digits ON business_numbers (digits);
COMMENT ON COLUMN business_numbers.digits IS 'The number as people see it, in digits; NULL: Meta showed none';
CREATE TABLE number_reports (
    number      text PRIMARY KEY,
    reason      text NOT NULL,
    reported_at timestamptz NOT NULL
);
COMMENT ON COLUMN number_reports.number IS 'The id, or a + and the digits that people see (domain/number_reports.py)';

-- Whether a report is about a number of ours, by the rule of domain/number_reports.py. `digits`: of the number; NULL: not read.
CREATE FUNCTION is_meant(in_key text, in_number text, in_digits text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT in_key IN ('', in_number) OR left(in_key, 1) = '+' AND CASE
        WHEN in_digits IS NULL THEN NOT EXISTS (SELECT FROM business_numbers WHERE digits = substr(in_key, 2))
        ELSE substr(in_key, 2) = in_digits END
$$;

-- The first sends of a campaign, while Meta refused each of them with the same code of the request.
CREATE TABLE template_trials (
    campaign_id uuid PRIMARY KEY REFERENCES marketing_campaigns (id) ON DELETE CASCADE,
    refused     smallint NOT NULL DEFAULT 0,
    code        integer,
    is_over     boolean NOT NULL DEFAULT false
);
CREATE INDEX template_trials_running ON template_trials (campaign_id) WHERE NOT is_over;

-- Senders that ended by a bug after a claim and before any answer. Two of a host open the breaker of the endpoint: each
-- further run would spend the messages that it claims.
CREATE TABLE sender_failures (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    host      text NOT NULL,
    failed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- One signal of a settled attempt about one scope.
CREATE TYPE breaker_signal AS (
    letter text, code integer, reason text, recipient_id uuid, attempt smallint
);

-- The breakers that concern a message. A pair is our number and a person, in whichever spelling the person is dialled.
-- `place` is the position of the scope's letter in a row of signals.
CREATE FUNCTION breaker_scopes(number text, person text, template text, language text)
RETURNS TABLE (place integer, scope text, key text) LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    VALUES (1, 'recipient', number || '/' || person), (2, 'template', template || '/' || language),
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

-- The other rows of a campaign that are the same human by links.
CREATE FUNCTION twins_of(in_campaign uuid, in_recipient uuid, in_person text) RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    SELECT o.id FROM (SELECT unnest(person_keys(in_person)) AS person OFFSET 0) AS k
    CROSS JOIN LATERAL (  -- OFFSET: one search by index for each key. A plan of stale statistics reads the whole campaign.
        SELECT r.id FROM campaign_recipients AS r WHERE r.campaign_id = in_campaign AND r.person = k.person OFFSET 0) AS o
    WHERE o.id <> in_recipient
$$;

-- What another row of the campaign, which is the same human, says against a post: 'same_person' if it was sent or may have
-- been sent, 'twin_open' if it is being sent (domain/repeats.py repeats it).
CREATE FUNCTION twin_refusal(in_campaign uuid, in_recipient uuid, in_person text) RETURNS text
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

-- The keys of a human with links, and whether another row of the campaign has one of them. Keys are NULL for most people,
-- who have no link. Postgres plans it as a part of a statement. OFFSET: each search is one by index.
CREATE FUNCTION human_of(in_campaign uuid, in_recipient uuid, in_person text)
RETURNS TABLE (keys text[], has_twin boolean) LANGUAGE sql STABLE AS $$
    SELECT keyed.keys, keyed.keys IS NOT NULL AND EXISTS (
        SELECT FROM unnest(keyed.keys) AS k (person) CROSS JOIN LATERAL (
            SELECT FROM campaign_recipients AS o
            WHERE o.campaign_id = in_campaign AND o.person = k.person AND o.id <> in_recipient OFFSET 0) AS twin OFFSET 0)
    FROM (SELECT CASE WHEN EXISTS (SELECT FROM person_links AS l WHERE l.person = in_person OFFSET 0)
                 THEN person_keys(in_person) END AS keys OFFSET 0) AS keyed
$$;

-- The one place that decides whether an attempt may be posted now. NULL permits it; a text is the reason against it.
-- Claim and renewal both call it, so a pause, a cancellation or an opt-out holds from the next claim or renewal on.
-- The order matters. A database that does not know its history refuses nothing for good ('paused' is not written to the
-- ledger). Then an attempt that is not the row's newest, or already has an outcome, is 'stale': its job is an old copy.
-- While a webhook that is more than 60 s old may not be applied, nothing is posted, because an opt-out may be among them;
-- this also defers what is claimed and waits for its permit (WEBHOOK_AGE_MAX_S in domain/webhook_age.py).
-- Only a current attempt can expire or be refused for its campaign or its person. A missing recipient is 'stale' too,
-- which is why the joins are outer joins. While another row of the same human is being sent, the outcome of that one is
-- awaited ('twin_open'). A message above the frequency cap is deferred, and the next release judges it again. An open
-- breaker refuses every message of its scope but its probe.
-- It returns one row, and is STABLE, so that Postgres plans it as a part of the statement: what is the same for all attempts
-- (the installation, the webhooks, the breakers) is read once for a statement, after its locks. As a function of one attempt
-- it was called for each, and read the control file of Postgres each time. The searches for statements and links of the
-- human are in it for the same reason: a function for each of them took three times as long.
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

-- Gives back the daily budget of attempts that were certainly not posted. Its callers do so once per attempt. The budget
-- of a day that another session has locked is given back later, from budget_returns.
CREATE FUNCTION give_budget_back(campaigns uuid[], days date[]) RETURNS void LANGUAGE sql VOLATILE AS $$
    WITH returned AS (
        SELECT u.campaign_id, u.day, count(*) AS n
        FROM unnest(campaigns, days) AS u (campaign_id, day) GROUP BY 1, 2
    ), locked AS MATERIALIZED (
        SELECT d.campaign_id, d.day, returned.n
        FROM campaign_days AS d JOIN returned USING (campaign_id, day)
        ORDER BY 1, 2 FOR NO KEY UPDATE OF d SKIP LOCKED
    ), changed AS (
        UPDATE campaign_days AS d SET used = greatest(0, d.used - locked.n)
        FROM locked WHERE d.campaign_id = locked.campaign_id AND d.day = locked.day
    )
    INSERT INTO budget_returns (campaign_id, day, n)
    SELECT campaign_id, day, n FROM returned
    WHERE (campaign_id, day) IN (SELECT campaign_id, day FROM campaign_days)
      AND (campaign_id, day) NOT IN (SELECT campaign_id, day FROM locked)
    ORDER BY 1, 2
$$;

-- Claims or refuses attempts. The verdicts:
--   claimed           the caller may post
--   probe             the same, and the message is the probe of an open breaker
--   expired, skipped, deferred
--                     refused: the outcome and its event are in the ledger, and the budget is given back
--   paused            not now; nothing is written, and the job may come again
--   busy              another transaction has locked the recipient; nothing is written, and the job comes again
--   stale             not the newest attempt, or it has an outcome: nothing to do
--   held              another token has claimed or refused it
-- The rule it guards: one attempt is claimed or refused once, by one token. It judges only recipients that it could lock,
-- so nothing about them changes meanwhile, and a row that somebody else has locked holds up no other job. ON CONFLICT DO
-- NOTHING is the last guard: the loser of a race gets no row.
-- It also locks the other rows of the same humans, so that of two rows that turn out to be one human one is claimed. While
-- another session claims the other row, or if both are in one call, the job is 'busy'.
-- A repeated call with the same token waits for the first and returns its result, so a sender reads back a claim whose
-- answer was lost. That also holds after the sweep has declared the attempt unknown: the owner has not posted, finds its lease
-- over, and settles the attempt as not sent.
CREATE FUNCTION claim_attempts(
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

-- Renews claims under the same conditions, or settles them as certainly not sent. The verdicts: renewed; deferred,
-- expired, skipped (settled, with the event); busy (another transaction has locked the ledger row, and nothing is known).
-- A claim that has another token or an outcome is not returned.
CREATE FUNCTION renew_claims(
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

-- Writes outcomes, and returns the attempts written. One whose row another transaction has locked is returned as not
-- written: its owner tries again, and the others do not wait for it. Only the owner of the token may write, and only where there is no
-- outcome yet, or an `unknown` that the sweep declared while the owner was frozen: the owner's answer is more exact, and
-- its event is published after the first. Each written outcome also feeds the breakers of its scopes, in the same
-- transaction: `letters` has its signals, `codes` and `reasons` what an opened breaker shows. Code 131050 states that the
-- person has stopped marketing messages: that opt-out of the platform goes to the outbox, and takes effect when it comes
-- back from its topic. A lock on the person's subscription therefore holds up no outcome.
CREATE FUNCTION settle_attempts(
    recipients uuid[], attempts smallint[], tokens uuid[], outcomes text[], wamids text[], events text[],
    letters text[] DEFAULT NULL, codes integer[] DEFAULT NULL, reasons text[] DEFAULT NULL,
    first_s double precision DEFAULT 5, max_s double precision DEFAULT 300
) RETURNS TABLE (recipient_id uuid, attempt smallint, is_written boolean)
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
    IF EXISTS (SELECT FROM unnest(letters) AS l (signals) WHERE l.signals <> 'ggggg')
       OR EXISTS (SELECT FROM breakers) OR EXISTS (SELECT FROM template_trials WHERE NOT is_over) THEN
        PERFORM feed_breakers(
            array_agg(u.id ORDER BY u.line), array_agg(u.n ORDER BY u.line), array_agg(u.signals ORDER BY u.line),
            array_agg(u.code ORDER BY u.line), array_agg(u.reason ORDER BY u.line), first_s, max_s)
        FROM unnest(recipients, attempts, tokens, outcomes, letters, codes, reasons)
            WITH ORDINALITY AS u (id, n, token, outcome, signals, code, reason, line)
        JOIN send_ledger AS l ON l.recipient_id = u.id AND l.attempt = u.n AND l.token = u.token
        WHERE u.signals IS NOT NULL AND u.line = ANY (free)
          AND (l.outcome IS NULL OR (l.outcome = 'unknown' AND u.outcome <> 'unknown'))
        HAVING count(*) > 0;
    END IF;
    IF 131050 = ANY (codes) THEN
        INSERT INTO subscription_outbox (person, source, subscribed, occurred_at)
        SELECT DISTINCT r.person, 'platform', false, now()
        FROM unnest(recipients, attempts, tokens, outcomes, codes)
            WITH ORDINALITY AS u (id, n, token, outcome, code, line)
        JOIN send_ledger AS l ON l.recipient_id = u.id AND l.attempt = u.n AND l.token = u.token
        JOIN campaign_recipients AS r ON r.id = u.id
        WHERE u.code = 131050 AND u.outcome = 'rejected' AND u.line = ANY (free)
          AND (l.outcome IS NULL OR l.outcome = 'unknown');
    END IF;
    RETURN QUERY
    WITH changed AS (
        UPDATE send_ledger AS l SET
            outcome = u.outcome, outcome_at = clock_timestamp(), wamid = u.wamid, event = u.event, published_at = NULL
        FROM unnest(recipients, attempts, tokens, outcomes, wamids, events)
            WITH ORDINALITY AS u (id, n, token, outcome, wamid, event, line)
        WHERE l.recipient_id = u.id AND l.attempt = u.n AND l.token = u.token AND u.line = ANY (free)
          AND (l.outcome IS NULL OR (l.outcome = 'unknown' AND u.outcome <> 'unknown'))
        RETURNING l.recipient_id, l.attempt, l.campaign_id, l.budget_day, l.outcome
    ), given AS (
        SELECT give_budget_back(array_agg(c.campaign_id), array_agg(c.budget_day))
        FROM changed AS c WHERE c.outcome IN ('deferred', 'expired', 'skipped') HAVING count(*) > 0
    )
    SELECT c.recipient_id, c.attempt, true FROM changed AS c LEFT JOIN given ON true
    UNION ALL
    SELECT u.id, u.n, false FROM unnest(recipients, attempts) WITH ORDINALITY AS u (id, n, line)
    JOIN send_ledger AS l ON l.recipient_id = u.id AND l.attempt = u.n
    WHERE u.line <> ALL (free);
END $$;

-- ----------------------------------------------------------------------------------------------------------- counters

-- Triggers on campaign_recipients append each change of a counter in the transaction that changes the rows, so counters
-- are exact for every writer. The stats publisher folds these deltas into campaign_counters and raises the version in
-- campaign_stats.

CREATE TABLE campaign_counter_deltas (
    campaign_id uuid NOT NULL,
    dimension   text NOT NULL,
    key         text NOT NULL,
    n           bigint NOT NULL,
    counted_at  timestamptz NOT NULL DEFAULT now()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
CREATE INDEX campaign_counter_deltas_campaign ON campaign_counter_deltas (campaign_id);

CREATE TABLE campaign_counters (
    campaign_id uuid NOT NULL,
    dimension   text NOT NULL,
    key         text NOT NULL,
    n           bigint NOT NULL,
    PRIMARY KEY (campaign_id, dimension, key)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- For the metric of unknown sends. It does not contain n, so a change of a counter stays a HOT update.
CREATE INDEX campaign_counters_unknown ON campaign_counters (campaign_id)
    WHERE dimension = 'status' AND key = 'unknown';

CREATE TABLE campaign_stats (
    campaign_id       uuid PRIMARY KEY,
    version           bigint NOT NULL DEFAULT 0,
    published_version bigint NOT NULL DEFAULT 0,
    campaign_status   text,
    folded_at         timestamptz,
    published_at      timestamptz,
    refused_version   bigint NOT NULL DEFAULT 0
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX campaign_stats_unpublished ON campaign_stats (folded_at)
    WHERE version > greatest(published_version, refused_version);
COMMENT ON COLUMN campaign_stats.campaign_status IS
    'The campaign''s status in this version; a new status makes a new version';
COMMENT ON COLUMN campaign_stats.refused_version IS
    'The last version that Kafka cannot take, because it is too large; a later version is tried again';

-- The recipients that a delta adds to the handled ones: all but the pending, the queued, and the cancelled.
CREATE FUNCTION handled_in_delta(dimension text, key text, n bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE dimension || '/' || key
        WHEN 'funnel/total' THEN n
        WHEN 'status/pending' THEN -n
        WHEN 'status/queued' THEN -n
        WHEN 'skip/campaign_cancelled' THEN -n
        ELSE 0
    END
$$;

-- How many recipients were handled in each of the last minutes: the rate behind the estimate of a campaign's end.
CREATE TABLE campaign_minutes (
    campaign_id uuid NOT NULL,
    slot        smallint NOT NULL CHECK (slot BETWEEN 0 AND 7),
    minute      timestamptz NOT NULL,
    handled     bigint NOT NULL,
    PRIMARY KEY (campaign_id, slot)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
COMMENT ON COLUMN campaign_minutes.slot IS 'The number of the minute modulo 8: a campaign never has more than eight rows';

-- How many messages were sent, delivered, read and failed in each minute, for the plot on the page of a campaign.
CREATE TABLE campaign_timeline (
    campaign_id uuid NOT NULL,
    minute      timestamptz NOT NULL,
    sent        bigint NOT NULL,
    delivered   bigint NOT NULL,
    read        bigint NOT NULL,
    failed      bigint NOT NULL,
    replied     bigint NOT NULL DEFAULT 0,
    version     bigint NOT NULL DEFAULT 1,
    published_version bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (campaign_id, minute)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
COMMENT ON COLUMN campaign_timeline.version IS 'Rises with each change of the minute, so that the last record of it wins';
CREATE INDEX campaign_timeline_unpublished ON campaign_timeline (minute, campaign_id)
    WHERE version > published_version;
COMMENT ON TABLE campaign_timeline IS 'Changes of the counters by minute: a row for each minute in which one changed';

-- Deleted campaigns. The stats publisher removes their last snapshot from the topic, and then their row.
CREATE TABLE deleted_snapshots (
    campaign_id uuid PRIMARY KEY,
    deleted_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- A change of a campaign that its snapshot shows makes a new version, for every writer: an empty delta is folded.
CREATE FUNCTION notice_campaign() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO campaign_counter_deltas (campaign_id, dimension, key, n) VALUES (NEW.id, 'funnel', 'total', 0);
    RETURN NULL;
END $$;
CREATE TRIGGER marketing_campaigns_noticed AFTER INSERT ON marketing_campaigns
    FOR EACH ROW EXECUTE FUNCTION notice_campaign();
CREATE TRIGGER marketing_campaigns_noticed_again AFTER UPDATE ON marketing_campaigns FOR EACH ROW
    WHEN ((NEW.name, NEW.status) IS DISTINCT FROM (OLD.name, OLD.status)) EXECUTE FUNCTION notice_campaign();

-- The keys of failures and skips: a code of Meta, a reason code of ours (schemas/reasons.py), or 'unknown'. Texts are no
-- keys: they can be as long as Meta likes, contain personal data, and the topic of the counters is public.
CREATE FUNCTION failure_counter_key(failure_code integer, failure_text text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN failure_code BETWEEN 0 AND 9999999 THEN failure_code::text
        WHEN failure_code IS NULL
            AND failure_text IN ('attempts_exhausted', 'invalid_template_parameters', 'ended_senders')
            THEN failure_text
        ELSE 'unknown'
    END
$$;
CREATE FUNCTION skip_counter_key(skip_reason text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN skip_reason IN ('opted_out', 'campaign_cancelled', 'same_person', 'template_parameters_invalid',
                             'frequency_capped', 'excluded')
            THEN skip_reason
        ELSE 'unknown'
    END
$$;

-- Why a due recipient waits (domain/waiting.py repeats it); NULL for one that is not due, now or later.
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

-- The counters by which a campaign is judged, folded or not: its statuses, its failures by code, and its opt-outs. No
-- recipient is read.
CREATE FUNCTION counters_of_figures(in_campaign uuid) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_object_agg(dimension || '/' || key, n), '{}')
    FROM (SELECT dimension, key, sum(n) AS n
          FROM (SELECT dimension, key, n FROM campaign_counters WHERE campaign_id = in_campaign
                UNION ALL
                SELECT dimension, key, n FROM campaign_counter_deltas WHERE campaign_id = in_campaign) AS every
          WHERE dimension IN ('status', 'failure') OR dimension = 'funnel' AND key IN ('total', 'opted_out')
          GROUP BY dimension, key) AS summed
$$;

-- The key of a price without its attempt: category and charge. Only words of domain/prices.py become keys.
CREATE FUNCTION price_counter_key(price text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN substr(price, 4) COLLATE "C" ~ ('^(authentication|authentication-international|marketing|marketing_lite|'
                'referral_conversion|service|utility|other)/(billable|free|free_customer_service|free_entry_point)$')
            THEN substr(price, 4)
        ELSE 'other/billable'
    END
$$;

-- Dimensions: status/<status>, funnel/{total,sent,delivered,read,replied,retrying,due,opted_out}, failure/<key>, skip/<key>,
-- wait/<key>, window/<country> for the due ones that wait for no retry, where the window follows the recipients, and
-- price/<category>/<charge>/<prefix> for the delivered ones: Meta charges for a message when it is delivered. The prefix
-- is computed once for each head of a number or user id (`user:DE.`), and not for each row.
-- The three trigger functions differ only in their source rows, so one text creates them. Rows of an import are all new,
-- and counted without it: they are pending, nothing is known of them, and none is due.
DO $do$
DECLARE
    source record;
BEGIN
    FOR source IN
        SELECT * FROM (VALUES
            ('insert', 'SELECT 1 AS sign, * FROM new_rows', $new$
                IF NOT EXISTS (SELECT FROM new_rows WHERE status <> 'pending' OR next_attempt_at IS NOT NULL
                               OR sent_at IS NOT NULL OR replied_at IS NOT NULL) THEN
                    INSERT INTO campaign_counter_deltas (campaign_id, dimension, key, n)
                    SELECT campaign_id, dimension, key, n
                    FROM (SELECT campaign_id, count(*) AS n FROM new_rows GROUP BY campaign_id) AS counted
                    CROSS JOIN (VALUES ('funnel', 'total'), ('status', 'pending')) AS keyed (dimension, key);
                    RETURN NULL;
                END IF;$new$),
            ('update', 'SELECT 1 AS sign, * FROM new_rows UNION ALL SELECT -1, * FROM old_rows', ''),
            ('delete', 'SELECT -1 AS sign, * FROM old_rows', '')) AS s (verb, rows, sooner)
    LOOP
        EXECUTE format($create$
            CREATE FUNCTION count_recipients_%1$s() RETURNS trigger LANGUAGE plpgsql AS $body$
            BEGIN%3$s
                INSERT INTO campaign_counter_deltas (campaign_id, dimension, key, n)
                WITH grouped AS MATERIALIZED (
                    SELECT campaign_id, status, sent_at IS NOT NULL AS is_sent, delivered_at IS NOT NULL AS is_delivered,
                           read_at IS NOT NULL AS is_read, replied_at IS NOT NULL AS is_replied,
                           wait_counter_key(status, next_attempt_at, attempt, deferred_attempt, capped_until,
                                            retry_attempt, failure_class) AS wait, window_country,
                           CASE status WHEN 'failed' THEN failure_counter_key(failure_code, failure_text)
                                       WHEN 'skipped' THEN skip_counter_key(skip_reason) END AS reason,
                           CASE WHEN delivered_at IS NOT NULL THEN price END AS price,
                           CASE WHEN delivered_at IS NOT NULL AND price IS NOT NULL
                               THEN left(person, CASE WHEN left(person, 1) = 'u' THEN 8 ELSE 4 END) END AS head,
                           sum(sign) AS n
                    FROM (%2$s) AS changed GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
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
                GROUP BY campaign_id, window_country HAVING sum(n) <> 0
                UNION ALL
                SELECT campaign_id, 'price', price_counter_key(price) || '/' || prefix_of(head), sum(n) FROM grouped
                WHERE price IS NOT NULL GROUP BY 1, 2, 3 HAVING sum(n) <> 0;
                RETURN NULL;
            END $body$ $create$, source.verb, source.rows, source.sooner);
    END LOOP;
END $do$;

CREATE TRIGGER campaign_recipients_count_insert AFTER INSERT ON campaign_recipients
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_recipients_insert();
CREATE TRIGGER campaign_recipients_count_update AFTER UPDATE ON campaign_recipients
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_recipients_update();
CREATE TRIGGER campaign_recipients_count_delete AFTER DELETE ON campaign_recipients
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION count_recipients_delete();

-- A trigger on TRUNCATE gets no rows, so the counters could not follow. TRUNCATE is refused.
CREATE FUNCTION refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'TRUNCATE of % would make the counters wrong', TG_TABLE_NAME
        USING HINT = 'Use DELETE: it is counted.', ERRCODE = 'feature_not_supported';
END $$;
CREATE TRIGGER campaign_recipients_no_truncate BEFORE TRUNCATE ON campaign_recipients
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();
CREATE TRIGGER marketing_campaigns_no_truncate BEFORE TRUNCATE ON marketing_campaigns
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();

-- The counter funnel/opted_out counts the recipients with an opt-out, for every writer.
CREATE FUNCTION count_opted_out() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO campaign_counter_deltas (campaign_id, dimension, key, n)
        SELECT campaign_id, 'funnel', 'opted_out', -count(*) FROM old_rows WHERE opt_outs > 0 GROUP BY campaign_id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO campaign_counter_deltas (campaign_id, dimension, key, n)
        SELECT campaign_id, 'funnel', 'opted_out', count(*) FROM new_rows WHERE opt_outs > 0 GROUP BY campaign_id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER campaign_opt_outs_count_insert AFTER INSERT ON campaign_opt_outs
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_opted_out();
CREATE TRIGGER campaign_opt_outs_count_update AFTER UPDATE ON campaign_opt_outs
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_opted_out();
CREATE TRIGGER campaign_opt_outs_count_delete AFTER DELETE ON campaign_opt_outs
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION count_opted_out();
CREATE TRIGGER campaign_opt_outs_no_truncate BEFORE TRUNCATE ON campaign_opt_outs
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();

-- The prefix by which a recipient is counted; domain/dialling.py is the same function.
CREATE FUNCTION prefix_of(person text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN left(person, 5) = 'user:'
            THEN CASE WHEN substr(person, 6, 3) COLLATE "C" ~ '^[A-Z]{2}\.$' THEN substr(person, 6, 2) ELSE 'unknown' END
        WHEN left(person, 4) COLLATE "C" !~ '^[1-9][0-9]{3}$' THEN 'unknown'
        WHEN left(person, 1) = '1' THEN CASE WHEN left(person, 4) IN (
            '1242', '1246', '1264', '1268', '1284', '1340', '1345', '1441', '1473', '1649', '1658', '1664', '1670',
            '1671', '1684', '1721', '1758', '1767', '1784', '1787', '1809', '1829', '1849', '1868',
            '1869', '1876', '1939')
            THEN left(person, 4) ELSE '1' END
        WHEN left(person, 1) = '7' THEN CASE WHEN left(person, 2) IN ('76', '77') THEN left(person, 2) ELSE '7' END
        WHEN left(person, 2) IN (
            '20', '27', '30', '31', '32', '33', '34', '36', '39', '40', '41', '43', '44', '45', '46', '47', '48',
            '49', '51', '52', '53', '54', '55', '56', '57', '58', '60', '61', '62', '63', '64', '65',
            '66', '81', '82', '84', '86', '90', '91', '92', '93', '94', '95', '98')
            THEN left(person, 2)
        ELSE left(person, 3)
    END
$$;

-- The recipients of a campaign by prefix. The prefix of a row changes only if somebody writes another number or user id,
-- so a merge never pays for this counter.
-- A prefix depends on the first four digits, or on the country of a user id, so it is computed once for many rows.
CREATE FUNCTION count_prefixes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO campaign_counter_deltas (campaign_id, dimension, key, n)
    SELECT campaign_id, 'prefix', prefix_of(start), CASE TG_OP WHEN 'INSERT' THEN sum(n) ELSE -sum(n) END
    FROM (SELECT campaign_id, CASE WHEN starts_with(person, 'user:') THEN left(person, 8) ELSE left(person, 4) END AS start,
                 count(*) AS n
          FROM changed_rows GROUP BY 1, 2) AS starts
    GROUP BY 1, 3;
    RETURN NULL;
END $$;
CREATE FUNCTION count_prefix_again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO campaign_counter_deltas (campaign_id, dimension, key, n) VALUES
        (OLD.campaign_id, 'prefix', prefix_of(OLD.person), -1), (NEW.campaign_id, 'prefix', prefix_of(NEW.person), 1);
    RETURN NULL;
END $$;
CREATE TRIGGER campaign_recipients_prefix_insert AFTER INSERT ON campaign_recipients
    REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION count_prefixes();
CREATE TRIGGER campaign_recipients_prefix_delete AFTER DELETE ON campaign_recipients
    REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION count_prefixes();
CREATE TRIGGER campaign_recipients_prefix_update AFTER UPDATE OF campaign_id, phone_number, user_id ON campaign_recipients
    FOR EACH ROW WHEN ((OLD.campaign_id, OLD.person) IS DISTINCT FROM (NEW.campaign_id, NEW.person))
    EXECUTE FUNCTION count_prefix_again();

-- ------------------------------------------------------------------------------------------------------- sink offsets

-- The next offset that the sink applies, per partition of `recipient.events`. It moves in the transaction that writes the
-- rows, so a record is applied and counted as applied together or not at all (tables/offsets.py).

CREATE TABLE sink_offsets (
    topic           text NOT NULL,
    topic_partition integer NOT NULL,
    cluster_id      text NOT NULL,
    topic_id        text NOT NULL,
    next_offset     bigint NOT NULL CHECK (next_offset >= 0),
    updated_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    accepted_at     timestamptz,
    PRIMARY KEY (topic, topic_partition)
);
COMMENT ON COLUMN sink_offsets.accepted_at IS 'When an operator accepted a recreated topic; NULL: never';

-- Compare-and-set of one offset. It raises an error instead of returning false, so the COMMIT that follows in the same
-- pipeline fails too when another sink has already advanced the offset.
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

-- --------------------------------------------------------------------------------------------------------- operations

-- The progress of replays, and the dead letters that an operator has redriven or dropped. The operators' commands write
-- these tables; the pipeline does not.

-- Progress of a replay, so that it can resume after an interruption. A replay writes no live topic and no sink offset.
CREATE TABLE replay_runs (
    id            uuid PRIMARY KEY,
    topic         text NOT NULL,
    cluster_id    text NOT NULL,
    topic_id      text NOT NULL,
    campaign_id   uuid,
    records_total bigint NOT NULL,
    records_done  bigint NOT NULL DEFAULT 0,
    events_done   bigint NOT NULL DEFAULT 0,
    rows_changed  bigint NOT NULL DEFAULT 0,
    started_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at   timestamptz
);
CREATE TABLE replay_positions (
    run_id          uuid NOT NULL REFERENCES replay_runs (id) ON DELETE CASCADE,
    topic_partition integer NOT NULL,
    next_offset     bigint NOT NULL,
    end_offset      bigint NOT NULL,
    first_offset    bigint NOT NULL,
    PRIMARY KEY (run_id, topic_partition)
);

-- The key contains the topic's id: a recreated topic starts again at offset 0, and its records are not confused with
-- these.
CREATE TABLE dead_letter_acts (
    topic_id        text NOT NULL,
    topic_partition integer NOT NULL,
    topic_offset    bigint NOT NULL,
    topic           text NOT NULL,
    act             text NOT NULL CHECK (act IN ('redriven', 'dropped')),
    acted_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (topic_id, topic_partition, topic_offset)
);

-- How many rows retention has deleted, per table. `campaigns verify` shows it and checks it.
CREATE TABLE pruned_rows (
    table_name text PRIMARY KEY,
    n          bigint NOT NULL,
    newest_at  timestamptz NOT NULL,
    pruned_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON COLUMN pruned_rows.newest_at IS 'The time of the youngest row that was deleted';

-- Events that wait because another session has locked their recipient. The other events of their batch do not wait.
CREATE TABLE held_events (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recipient_id    uuid,
    topic           text NOT NULL,
    topic_partition integer NOT NULL,
    topic_offset    bigint NOT NULL,
    key             bytea,
    value           bytea,
    header_names    text[] NOT NULL,
    header_values   bytea[] NOT NULL,
    written_at      timestamptz NOT NULL,
    held_at         timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE held_events IS 'Records of recipient.events that the sink has passed and not applied yet';
COMMENT ON COLUMN held_events.recipient_id IS 'The locked recipient, also for a status that only has a wamid';
CREATE INDEX held_events_recipient ON held_events (recipient_id);

-- ------------------------------------------------------------------------------------------------------------ reports

-- Views for SQL users. They show the figures of the REST API, and recipients without their numbers.

-- The rounding of the rates in `domain.stats`: per cent with one decimal, a half rounded up.
CREATE FUNCTION report_percentage(part bigint, whole bigint) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN whole <= 0 THEN 0 ELSE round(((2000 * part + whole) / (2 * whole))::numeric / 10, 1) END
$$;

CREATE VIEW report_counters AS
SELECT campaign_id, dimension, key, sum(n)::bigint AS n
FROM (SELECT campaign_id, dimension, key, n FROM campaign_counters
      UNION ALL SELECT campaign_id, dimension, key, n FROM campaign_counter_deltas) AS every
GROUP BY campaign_id, dimension, key HAVING sum(n) <> 0;
COMMENT ON VIEW report_counters IS 'The counters of campaigns, with the changes that are not folded yet';

CREATE VIEW report_campaigns AS
SELECT c.id AS campaign_id, c.name AS campaign_name, c.status, c.created_at, c.activated_at, c.completed_at,
       n.total_target, n.pending, n.queued, n.sent, n.delivered, n.read, n.replied, n.failed, n.skipped, n.unknown,
       n.retrying, h.handled, report_percentage(h.handled, n.total_target) AS progress_percentage,
       report_percentage(n.delivered, n.sent) AS delivery_rate, report_percentage(n.read, n.sent) AS read_rate,
       coalesce(s.version, 0) AS version
FROM marketing_campaigns AS c
LEFT JOIN campaign_stats AS s ON s.campaign_id = c.id
CROSS JOIN LATERAL (
    SELECT coalesce(sum(k.n) FILTER (WHERE k.dimension = 'funnel' AND k.key = 'total'), 0)::bigint AS total_target,
           coalesce(sum(k.n) FILTER (WHERE k.dimension = 'status' AND k.key = 'pending'), 0)::bigint AS pending,
           coalesce(sum(k.n) FILTER (WHERE k.dimension = 'status' AND k.key = 'queued'), 0)::bigint AS queued,
           coalesce(sum(k.n) FILTER (WHERE k.dimension = 'funnel' AND k.key = 'sent'), 0)::bigint AS sent,
           coalesce(sum(k.n) FILTER (WHERE k.dimension = 'funnel' AND k.key = 'delivered'), 0)::bigint AS delivered,
           coalesce(sum(k.n) FILTER (WHERE k.dimension = 'funnel' AND k.key = 'read'), 0)::bigint AS read,
           coalesce(sum(k.n) FILTER (WHERE k.dimension = 'funnel' AND k.key = 'replied'), 0)::bigint AS replied,
           coalesce(sum(k.n) FILTER (WHERE k.dimension = 'status' AND k.key = 'failed'), 0)::bigint AS failed,
           coalesce(sum(k.n) FILTER (WHERE k.dimension = 'status' AND k.key = 'skipped'), 0)::bigint AS skipped,
           coalesce(sum(k.n) FILTER (WHERE k.dimension = 'status' AND k.key = 'unknown'), 0)::bigint AS unknown,
           coalesce(sum(k.n) FILTER (WHERE k.dimension = 'funnel' AND k.key = 'retrying'), 0)::bigint AS retrying,
           coalesce(sum(k.n) FILTER (WHERE k.dimension = 'skip' AND k.key = 'campaign_cancelled'), 0)::bigint AS cancelled
    FROM (SELECT dimension, key, n FROM campaign_counters WHERE campaign_id = c.id
          UNION ALL SELECT dimension, key, n FROM campaign_counter_deltas WHERE campaign_id = c.id) AS k) AS n
CROSS JOIN LATERAL (SELECT n.total_target - n.pending - n.queued - n.cancelled AS handled) AS h;
COMMENT ON VIEW report_campaigns IS 'The figures of GET /v1/campaigns/{id}/stats, exact at the time of the query';

CREATE VIEW report_failures AS
SELECT campaign_id, key AS code, n AS recipients FROM report_counters WHERE dimension = 'failure';
COMMENT ON VIEW report_failures IS 'Recipients whose status is failed, by code of WhatsApp or reason code';

CREATE VIEW report_skips AS
SELECT campaign_id, key AS reason, n AS recipients FROM report_counters WHERE dimension = 'skip';
COMMENT ON VIEW report_skips IS 'Recipients that get no message, by reason code';

CREATE VIEW report_prices AS
SELECT campaign_id, split_part(key, '/', 1) AS category, split_part(key, '/', 2) AS charge,
       split_part(key, '/', 3) AS prefix, n AS messages
FROM report_counters WHERE dimension = 'price';
COMMENT ON VIEW report_prices IS
    'Delivered messages by category and charge, as WhatsApp reports them, and by the country code of the number';

CREATE VIEW report_timeline AS
SELECT campaign_id, minute, sent, delivered, read, failed, replied FROM campaign_timeline;
COMMENT ON VIEW report_timeline IS 'How many recipients changed in each minute; the newest second may not be folded yet';

CREATE VIEW report_recipients AS
SELECT r.id AS recipient_id, r.campaign_id, right(r.phone_number, 4) AS phone_number_end, r.status, r.attempt,
       r.created_at, r.sent_at, r.delivered_at, r.read_at, r.replied_at,
       CASE r.status WHEN 'failed' THEN r.failed_at END AS failed_at,
       CASE r.status WHEN 'failed' THEN failure_counter_key(r.failure_code, r.failure_text) END AS failure,
       CASE r.status WHEN 'skipped' THEN skip_counter_key(r.skip_reason) END AS skip, r.next_attempt_at
FROM campaign_recipients AS r;
COMMENT ON VIEW report_recipients IS 'The recipients without their numbers: only the last four digits';

-- ---------------------------------------------------------------------------------------------------------------- API

-- Responses to requests that had an Idempotency-Key. Each is stored in the transaction of its request, so a repeated
-- request gets the same response and changes nothing.

CREATE TABLE idempotency_keys (
    key             text PRIMARY KEY,
    request_hash    bytea NOT NULL,
    response_status integer,
    response_body   jsonb,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
