-- The answer of the Cloud API names a person also by a `wa_id` and user ids, which may be other keys than that of the
-- number dialled. An opt-out under one of them holds for the others.

CREATE TABLE person_links (
    person    text NOT NULL,
    linked_to text NOT NULL,
    PRIMARY KEY (person, linked_to)
);

CREATE FUNCTION keys_of(in_person text) RETURNS SETOF text LANGUAGE sql STABLE AS $$
    SELECT in_person UNION ALL SELECT l.linked_to FROM person_links AS l WHERE l.person = in_person
$$;

CREATE OR REPLACE FUNCTION is_unsubscribed(in_person text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM keys_of(in_person) AS k (person) JOIN subscriptions AS s USING (person)
                   WHERE NOT s.subscribed)
$$;
