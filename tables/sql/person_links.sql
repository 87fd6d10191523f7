-- Statements of the links between two keys of one human.

-- name: link_people
-- Link the persons of these rows with other keys, in both directions. The order keeps two sinks from a deadlock.
WITH named AS (
    SELECT DISTINCT r.person, person_of(u.key) AS other
    FROM unnest(%(recipients)s::uuid[], %(keys)s::text[]) AS u (recipient_id, key)
    JOIN campaign_recipients AS r ON r.id = u.recipient_id
    WHERE r.person <> person_of(u.key)
)
INSERT INTO person_links (person, linked_to)
SELECT person, other FROM named UNION SELECT other, person FROM named ORDER BY 1, 2
ON CONFLICT DO NOTHING

-- name: link_keys
-- Link pairs of keys, in both directions. The order keeps two sinks from a deadlock.
WITH named AS (
    SELECT person_of(one) AS one, person_of(other) AS other FROM unnest(%(ones)s::text[], %(others)s::text[]) AS u (one, other)
)
INSERT INTO person_links (person, linked_to)
SELECT one, other FROM named WHERE one <> other UNION SELECT other, one FROM named WHERE one <> other ORDER BY 1, 2
ON CONFLICT DO NOTHING
