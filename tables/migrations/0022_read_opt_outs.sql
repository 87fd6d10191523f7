-- Opt-outs that people state themselves come from `subscription.events`. The truth of a source is the latest statement
-- under any key of the person, because an opt-in under a phone number revokes the opt-out under a user id. An event that
-- names a message whose recipient is not known yet waits, and so does one whose row another session has locked.

CREATE FUNCTION sources_out(in_person text) RETURNS SETOF text LANGUAGE sql STABLE AS $$
    SELECT DISTINCT s.source FROM keys_of(in_person) AS k (person) JOIN subscriptions AS s USING (person)
    WHERE NOT s.subscribed AND NOT EXISTS (
        SELECT FROM keys_of(in_person) AS k (person) JOIN subscriptions AS later USING (person)
        WHERE later.source = s.source AND later.subscribed AND later.occurred_at > s.occurred_at)
$$;

CREATE OR REPLACE FUNCTION is_unsubscribed(in_person text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM sources_out(in_person))
$$;

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
