-- Statements that compare the template parameters of recipients with a template.

-- name: measure_chunk
-- A chunk of the recipients of a campaign, grouped by the shape of their parameters: everything that decides whether they
-- fit a template, but the length of their texts. Each group has the first rows and the parameters of the first one. A
-- second group of a shape has the rows whose body or header is too long for the template. Recipients that may still get a
-- message have groups of their own; those that failed are among them if they are sent to again.
WITH chunk AS MATERIALIZED (
    SELECT id, template_parameters AS given, status IN ('pending', 'queued') OR next_attempt_at IS NOT NULL OR (%(failed_too)s AND status = 'failed') AS is_waiting
    FROM campaign_recipients
    WHERE campaign_id = %(campaign)s AND id > %(after)s ORDER BY id LIMIT %(limit)s
), measured AS (
    SELECT id, given, is_waiting,
        CASE
            WHEN jsonb_typeof(given) = 'array' THEN 'positional ' || jsonb_array_length(given)
            WHEN jsonb_typeof(given -> 'components') = 'array' THEN (
                SELECT string_agg(concat_ws(' ', c.value ->> 'type', c.value ->> 'sub_type', c.value ->> 'index',
                    (SELECT string_agg(concat_ws(':', p.value ->> 'type', p.value ->> 'parameter_name'), ',' ORDER BY p.place)
                     FROM jsonb_array_elements(CASE WHEN jsonb_typeof(c.value -> 'parameters') = 'array'
                                                    THEN c.value -> 'parameters' ELSE '[]' END)
                         WITH ORDINALITY AS p (value, place)),
                    c.value -> 'cards'), ';' ORDER BY c.place)
                FROM jsonb_array_elements(given -> 'components') WITH ORDINALITY AS c (value, place))
            WHEN jsonb_typeof(given) = 'object' THEN (
                SELECT 'named ' || string_agg(name, ',' ORDER BY name COLLATE "C") FROM jsonb_object_keys(given) AS name)
        END AS shape,
        CASE
            WHEN jsonb_typeof(given) = 'array' THEN (
                SELECT sum(length(value) * coalesce((%(body)s::jsonb ->> place::text)::integer, 1))
                FROM jsonb_array_elements_text(given) WITH ORDINALITY AS t (value, place))
            WHEN jsonb_typeof(given) = 'object' AND NOT given ? 'components' THEN (
                SELECT sum(length(value) * coalesce((%(body)s::jsonb ->> name)::integer, 1))
                FROM jsonb_each_text(given) AS t (name, value))
            ELSE of_components.body_characters
        END AS body_characters,
        of_components.header_characters
    FROM chunk
    CROSS JOIN LATERAL (
        SELECT sum(characters * coalesce((%(body)s::jsonb ->> name)::integer, 1)) FILTER (WHERE kind = 'body')
                   AS body_characters,
               sum(characters * coalesce((%(header)s::jsonb ->> name)::integer, 1)) FILTER (WHERE kind = 'header')
                   AS header_characters
        FROM (
            SELECT c.value ->> 'type' AS kind, coalesce(p.value ->> 'parameter_name', p.place::text) AS name,
                   length(coalesce(p.value ->> 'text', p.value -> (p.value ->> 'type') ->> 'fallback_value')) AS characters
            FROM jsonb_array_elements(CASE WHEN jsonb_typeof(given -> 'components') = 'array'
                                           THEN given -> 'components' ELSE '[]' END) AS c (value)
            CROSS JOIN LATERAL jsonb_array_elements(CASE WHEN jsonb_typeof(c.value -> 'parameters') = 'array'
                                                         THEN c.value -> 'parameters' ELSE '[]' END)
                WITH ORDINALITY AS p (value, place)
        ) AS texts
    ) AS of_components
), judged AS (
    SELECT id, given, is_waiting, shape, coalesce(body_characters > %(body_room)s, false) AS has_long_body,
           coalesce(header_characters > %(header_room)s, false) AS has_long_header
    FROM measured
), grouped AS (
    SELECT has_long_body, has_long_header, is_waiting, count(*) AS n,
           (array_agg(id ORDER BY id))[1:%(first)s] AS first_ids
    FROM judged GROUP BY shape, has_long_body, has_long_header, is_waiting
)
SELECT n, has_long_body, has_long_header, first_ids,
       (SELECT given FROM chunk WHERE id = first_ids[1]), is_waiting, (SELECT max(id::text)::uuid FROM chunk)
FROM grouped

-- name: read_first
-- The phone number and the parameters of these recipients, in their order.
SELECT id, coalesce(phone_number, person), template_parameters FROM campaign_recipients
WHERE id = ANY (%(ids)s::uuid[]) ORDER BY id

-- name: read_one
-- A recipient of a campaign: the one with this id, or of this person, or else the first.
SELECT id, coalesce(phone_number, person), template_parameters FROM campaign_recipients
WHERE campaign_id = %(campaign)s AND (%(id)s::uuid IS NULL OR id = %(id)s::uuid)
  AND (%(person)s::text IS NULL OR person = %(person)s::text)
ORDER BY id LIMIT 1
