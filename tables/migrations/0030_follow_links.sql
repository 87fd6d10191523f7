-- Links between keys of one human are followed over several steps, and those to keys that the human has left are told apart.
-- The last opt-out of each statement is kept beside a later opt-in: the opt-in of a stranger who has got the number of
-- somebody does not bring that human back.

ALTER TABLE person_links ADD COLUMN same_account boolean NOT NULL DEFAULT true;
COMMENT ON COLUMN person_links.same_account IS
    'Both keys name one account; false: one human has left one of them, and it may belong to somebody else';

ALTER TABLE subscriptions ADD COLUMN opted_out_at timestamptz;
COMMENT ON COLUMN subscriptions.opted_out_at IS 'The latest opt-out, also before a later opt-in';
UPDATE subscriptions SET opted_out_at = occurred_at WHERE NOT subscribed;

CREATE OR REPLACE FUNCTION key_subscription() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.person := person_of(NEW.person);
    NEW.opted_out_at := greatest(NEW.opted_out_at, CASE WHEN NOT NEW.subscribed THEN NEW.occurred_at END);
    RETURN NEW;
END $$;
DROP TRIGGER subscriptions_key ON subscriptions;
CREATE TRIGGER subscriptions_key BEFORE INSERT OR UPDATE ON subscriptions
    FOR EACH ROW EXECUTE FUNCTION key_subscription();

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

CREATE OR REPLACE FUNCTION keys_of(in_person text) RETURNS SETOF text LANGUAGE sql STABLE AS $$
    SELECT DISTINCT person FROM reach_of(in_person)
$$;

CREATE OR REPLACE FUNCTION sources_out(in_person text) RETURNS SETOF text LANGUAGE sql STABLE AS $$
    WITH stated AS MATERIALIZED (
        SELECT k.same_account, s.source, s.subscribed, s.occurred_at, s.opted_out_at
        FROM reach_of(in_person) AS k JOIN subscriptions AS s USING (person)
    )
    SELECT DISTINCT source FROM stated AS out WHERE opted_out_at IS NOT NULL AND NOT EXISTS (
        SELECT FROM stated AS back
        WHERE back.source = out.source AND back.same_account AND back.subscribed AND back.occurred_at > out.opted_out_at)
$$;
