-- Statements of the exclusion of other campaigns. The function that judges a recipient is in schema.sql.

-- name: find_excluded
-- The campaigns that texts name by their id or by their name, up to two for each text.
SELECT wanted.place::integer, found.id
FROM unnest(%(ids)s::uuid[], %(names)s::text[]) WITH ORDINALITY AS wanted (id, name, place)
CROSS JOIN LATERAL (
    SELECT c.id FROM marketing_campaigns AS c
    WHERE c.id = wanted.id OR wanted.id IS NULL AND c.name = wanted.name ORDER BY c.id DESC LIMIT 2) AS found
