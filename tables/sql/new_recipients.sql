-- Statements that add recipients. Most people of a list are new and have no link. For them `find_known` and `insert_new`
-- take half of the time of `insert_any`, which is right for all people and for several clients at once.

-- name: find_known
-- Those of these keys that the campaign has, and those that have a link: true. `user_ids`: the ids in the keys, because a
-- row may have both a number and a user id. LIMIT keeps each search on its index.
SELECT k.key, link.is_there IS NOT NULL AS is_linked
FROM unnest(%(keys)s::text[]) AS k (key)
LEFT JOIN LATERAL (
    SELECT true FROM campaign_recipients AS r WHERE r.campaign_id = %(campaign)s AND r.person = k.key LIMIT 1
) AS has (is_there) ON true
LEFT JOIN LATERAL (SELECT true FROM person_links AS l WHERE l.person = k.key LIMIT 1) AS link (is_there) ON true
WHERE has.is_there OR link.is_there
UNION ALL
SELECT 'user:' || u.user_id, false
FROM unnest(%(user_ids)s::text[]) AS u (user_id)
CROSS JOIN LATERAL (
    SELECT FROM campaign_recipients AS r WHERE r.campaign_id = %(campaign)s AND r.user_id = u.user_id LIMIT 1) AS has

-- name: insert_new
-- Add recipients in the given order. One whose number, user id or person exists already fails the statement. The ids are
-- those of campaigns_uuid_v7, with the random digits of the caller, who can make many sooner.
INSERT INTO campaign_recipients (id, campaign_id, phone_number, user_id, template_parameters)
SELECT u.id, %(campaign)s, u.phone_number, u.user_id, u.template_parameters::jsonb
FROM unnest(%(ids)s::uuid[], %(phone_numbers)s::text[], %(user_ids)s::text[], %(template_parameters)s::text[])
    AS u (id, phone_number, user_id, template_parameters)

-- name: insert_any
-- Add recipients in the given order, and return the names that were not added: the number, the user id or the human exists
-- already, and its row does not change. The name is the number, or the key of the user id. A human is known by every
-- key that links lead to. Only people who have a link are looked up by it. The ids are as in insert_new.
WITH given AS MATERIALIZED (
    SELECT u.id, u.phone_number, u.user_id, coalesce(u.phone_number, 'user:' || u.user_id) AS name, u.person,
           u.template_parameters::jsonb, u.place
    FROM unnest(%(ids)s::uuid[], %(phone_numbers)s::text[], %(user_ids)s::text[], %(persons)s::text[],
                %(template_parameters)s::text[])
        WITH ORDINALITY AS u (id, phone_number, user_id, person, template_parameters, place)
),
linked AS MATERIALIZED (
    SELECT g.place, array_agg(DISTINCT k.person ORDER BY k.person) AS keys
    FROM given AS g
    CROSS JOIN LATERAL (SELECT g.person UNION SELECT 'user:' || g.user_id WHERE g.user_id IS NOT NULL) AS named (person)
    CROSS JOIN LATERAL keys_of(named.person) AS k (person)
    WHERE EXISTS (SELECT FROM person_links AS l WHERE l.person IN (g.person, 'user:' || g.user_id))
    GROUP BY g.place
),
repeated AS MATERIALIZED (
    -- Of several recipients in the request that are one human, the first is added.
    SELECT place FROM (SELECT place, row_number() OVER (PARTITION BY keys[1] ORDER BY place) AS n FROM linked) AS same
    WHERE n > 1
    UNION
    SELECT l.place FROM linked AS l WHERE EXISTS (
        SELECT FROM unnest(l.keys) AS k (person)
        JOIN campaign_recipients AS o ON o.campaign_id = %(campaign)s AND o.person = k.person)
),
added AS (
    INSERT INTO campaign_recipients (id, campaign_id, phone_number, user_id, template_parameters)
    SELECT id, %(campaign)s, phone_number, user_id, template_parameters FROM given
    WHERE place NOT IN (SELECT place FROM repeated) ORDER BY place
    ON CONFLICT DO NOTHING
    RETURNING coalesce(phone_number, 'user:' || user_id) AS name
)
SELECT name FROM given WHERE name NOT IN (SELECT name FROM added)

-- name: find_present
-- Those of these names that the campaign has, spelled as here.
SELECT phone_number FROM campaign_recipients
WHERE campaign_id = %(campaign)s AND phone_number = ANY (%(names)s::text[])
UNION ALL
SELECT 'user:' || r.user_id FROM unnest(%(names)s::text[]) AS u (name)
JOIN campaign_recipients AS r ON r.campaign_id = %(campaign)s AND r.user_id = substr(u.name, 6)
WHERE starts_with(u.name, 'user:')
