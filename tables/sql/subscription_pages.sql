-- Statements that list subscriptions. A filter examines a limited number of rows: a source that few people use must not
-- make one request read the whole table.

-- name: list_subscriptions
-- Of the next statements: those that fit, how many were examined, and the key of the last one.
WITH examined AS MATERIALIZED (
    SELECT person, source, subscribed, occurred_at FROM subscriptions
    WHERE (person, source) > (%(after_person)s, %(after_source)s)
    ORDER BY person, source LIMIT %(window)s
), fitting AS MATERIALIZED (
    SELECT * FROM examined
    WHERE (%(sources)s::text[] IS NULL OR source = ANY (%(sources)s::text[]))
      AND (%(subscribed)s::boolean IS NULL OR subscribed = %(subscribed)s::boolean)
    ORDER BY person, source LIMIT %(limit)s
)
SELECT ARRAY(SELECT person FROM fitting ORDER BY person, source),
       ARRAY(SELECT source FROM fitting ORDER BY person, source),
       ARRAY(SELECT subscribed FROM fitting ORDER BY person, source),
       ARRAY(SELECT occurred_at FROM fitting ORDER BY person, source),
       (SELECT count(*) FROM examined),
       (SELECT person FROM examined ORDER BY person DESC, source DESC LIMIT 1),
       (SELECT source FROM examined ORDER BY person DESC, source DESC LIMIT 1)
