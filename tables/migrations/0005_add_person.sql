-- Gives every recipient and every subscription the key of its person, so that two spellings of one number are one person,
-- and gives campaigns a country for numbers that are written without one.

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

ALTER TABLE marketing_campaigns ADD COLUMN country text CHECK (country ~ '^[A-Z]{2}$');
COMMENT ON COLUMN marketing_campaigns.country IS
    'ISO code: numbers without + and 00 are read as national numbers of this country; NULL: they must be complete';

-- The table is rewritten once. No trigger fires, and no counter changes.
ALTER TABLE campaign_recipients
    ADD COLUMN person text NOT NULL GENERATED ALWAYS AS (person_of(phone_number)) STORED,
    ADD COLUMN repetition smallint NOT NULL DEFAULT 0 CHECK (repetition >= 0);
COMMENT ON COLUMN campaign_recipients.repetition IS
    '0: the first row of its person in the campaign. Above: a row that repeats the person; it is skipped, not sent';

-- Campaigns may already hold one person twice. The row that is furthest stays the person's row; each other one is a
-- repetition, which is not sent any more.
WITH repeated AS (
    SELECT campaign_id, person FROM campaign_recipients GROUP BY 1, 2 HAVING count(*) > 1
), ranked AS (
    SELECT r.id, row_number() OVER (PARTITION BY r.campaign_id, r.person ORDER BY r.attempt = 0, r.id) - 1 AS place
    FROM campaign_recipients AS r JOIN repeated USING (campaign_id, person)
)
UPDATE campaign_recipients AS r SET repetition = ranked.place FROM ranked WHERE r.id = ranked.id AND ranked.place > 0;

ALTER TABLE campaign_recipients ADD UNIQUE (campaign_id, person, repetition);

-- Subscriptions of one person in several spellings become one row per source: the latest change wins, and an opt-out wins
-- against an opt-in of the same time. Readers of the topic learn the new key through the outbox.
WITH respelled AS (
    DELETE FROM subscriptions WHERE person <> person_of(person) RETURNING person, source, subscribed, occurred_at
), latest AS (
    SELECT DISTINCT ON (1, source) person_of(person) AS person, source, subscribed, occurred_at
    FROM respelled ORDER BY 1, source, occurred_at DESC, subscribed
), kept AS (
    INSERT INTO subscriptions AS s (person, source, subscribed, occurred_at)
    SELECT person, source, subscribed, occurred_at FROM latest
    ON CONFLICT (person, source) DO UPDATE SET
        subscribed = excluded.subscribed, occurred_at = excluded.occurred_at, updated_at = clock_timestamp()
    WHERE (excluded.occurred_at, NOT excluded.subscribed) > (s.occurred_at, NOT s.subscribed)
    RETURNING s.person, s.source, s.subscribed, s.occurred_at
)
INSERT INTO subscription_outbox (person, source, subscribed, occurred_at)
SELECT person, source, subscribed, occurred_at FROM kept;
UPDATE subscription_outbox SET person = person_of(person) WHERE published_at IS NULL AND person <> person_of(person);

-- A row has the key of its person, also if it was written by hand with another spelling of the number.
CREATE FUNCTION key_subscription() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.person := person_of(NEW.person);
    RETURN NEW;
END $$;
CREATE TRIGGER subscriptions_key BEFORE INSERT OR UPDATE OF person ON subscriptions
    FOR EACH ROW EXECUTE FUNCTION key_subscription();

-- Whether a source has unsubscribed the person. Releases and claims decide by it. This is the one place that follows a
-- link between two keys of one human, as soon as links are known (docs/architecture.md, People).
CREATE FUNCTION is_unsubscribed(in_person text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM subscriptions AS s WHERE s.person = in_person AND NOT s.subscribed)
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

CREATE OR REPLACE FUNCTION skip_counter_key(skip_reason text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN skip_reason IN ('opted_out', 'campaign_cancelled', 'same_person', 'template_parameters_invalid')
            THEN skip_reason
        ELSE 'unknown'
    END
$$;
