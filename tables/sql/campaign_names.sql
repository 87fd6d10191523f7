-- Statements that find campaigns by what an operator types. They read the table of campaigns, which stays small.

-- name: find_named
-- Campaigns with this id, this name, or an id that ends so; the newest first.
SELECT id, name, status, created_at FROM marketing_campaigns
WHERE id = %(id)s::uuid
   OR name = %(name)s
   OR (%(ending)s::text <> '' AND right(replace(id::text, '-', ''), length(%(ending)s::text)) = %(ending)s::text)
ORDER BY id DESC LIMIT %(limit)s

-- name: find_similar
-- Campaigns whose name contains this text, in any case; the newest first.
SELECT id, name, status, created_at FROM marketing_campaigns
WHERE strpos(lower(name), lower(%(part)s)) > 0
ORDER BY id DESC LIMIT %(limit)s
