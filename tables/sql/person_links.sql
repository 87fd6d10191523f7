-- Statements of the links between two keys of one human.

-- name: link_people
-- Link the persons of these rows with other keys of the same account, in both directions. The order keeps two sinks from a
-- deadlock.
WITH named AS (
    SELECT DISTINCT r.person, person_of(u.key) AS other
    FROM unnest(%(recipients)s::uuid[], %(keys)s::text[]) AS u (recipient_id, key)
    JOIN campaign_recipients AS r ON r.id = u.recipient_id
    WHERE r.person <> person_of(u.key)
)
INSERT INTO person_links AS l (person, linked_to, same_account)
SELECT person, other, true FROM named UNION SELECT other, person, true FROM named ORDER BY 1, 2
ON CONFLICT (person, linked_to) DO UPDATE SET same_account = true WHERE NOT l.same_account

-- name: link_keys
-- Link pairs of keys, in both directions. A pair that is of one account stays so. The order keeps two sinks from a deadlock.
WITH named AS (
    SELECT person_of(one) AS one, person_of(other) AS other, bool_or(same_account) AS same_account
    FROM unnest(%(ones)s::text[], %(others)s::text[], %(same_account)s::boolean[]) AS u (one, other, same_account)
    GROUP BY 1, 2
)
INSERT INTO person_links AS l (person, linked_to, same_account)
SELECT person, linked_to, bool_or(same_account) FROM (
    SELECT one, other, same_account FROM named UNION ALL SELECT other, one, same_account FROM named
) AS ways (person, linked_to, same_account)
WHERE person <> linked_to GROUP BY 1, 2 ORDER BY 1, 2
ON CONFLICT (person, linked_to) DO UPDATE SET same_account = true WHERE excluded.same_account AND NOT l.same_account
