-- Statements of edited templates. The rule is in domain/template_edits.py.

-- name: note
-- Note the latest edit of their template at active campaigns that were started before it. What an earlier comparison showed
-- does not hold any more.
WITH edited AS MATERIALIZED (
    SELECT key, max(at) AS at FROM unnest(%(keys)s::text[], %(times)s::timestamptz[]) AS u (key, at) GROUP BY key
), noted AS MATERIALIZED (
    SELECT c.id, e.at
    FROM marketing_campaigns AS c JOIN edited AS e ON e.key = c.template_name || '/' || c.language_code
    WHERE c.status = 'active' AND coalesce(c.started_at, c.activated_at, c.created_at) < e.at
      AND (c.template_edited_at IS NULL OR c.template_edited_at < e.at)
    ORDER BY c.id FOR NO KEY UPDATE OF c
)
UPDATE marketing_campaigns AS c SET template_edited_at = noted.at, template_fit = NULL
FROM noted WHERE c.id = noted.id

-- name: read_uncompared
-- Active campaigns whose template was edited after their last start, and is not compared with their recipients yet.
SELECT id, template_name, language_code, endpoint, template_edited_at FROM marketing_campaigns
WHERE status = 'active' AND template_edited_at IS NOT NULL AND template_fit IS NULL
  AND coalesce(started_at, activated_at, created_at) < template_edited_at
ORDER BY template_edited_at, id LIMIT %(limit)s

-- name: settle
-- Store what the comparison of one edit showed. With a reason the campaign is paused, and the pause is noted for
-- `campaign.control`.
WITH found AS MATERIALIZED (
    SELECT id, template_name || '/' || language_code AS key FROM marketing_campaigns
    WHERE id = %(campaign)s AND status = 'active' AND template_fit IS NULL AND template_edited_at = %(edited_at)s
      AND coalesce(started_at, activated_at, created_at) < template_edited_at
    FOR NO KEY UPDATE
), noted AS (
    INSERT INTO breaker_changes (change, scope, key, campaign_id, reason, needs_human)
    SELECT 'campaign_paused', 'template', key, id, %(reason)s, true FROM found WHERE %(reason)s::text IS NOT NULL
)
UPDATE marketing_campaigns AS c SET
    template_fit = %(fit)s,
    status = CASE WHEN %(reason)s::text IS NULL THEN c.status ELSE 'paused' END,
    pause_reason = %(reason)s
FROM found WHERE c.id = found.id
RETURNING c.id
