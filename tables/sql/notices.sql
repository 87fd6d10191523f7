-- Statements of what Meta reports about templates, numbers and the account.

-- name: pause_reported
-- Pause the active campaigns of these scopes that were started before the report, each for the earliest one, and note the
-- pauses for `campaign.control`. A later start or resume is the decision of a person who could know the report.
WITH reported AS MATERIALIZED (
    SELECT * FROM unnest(%(scopes)s::text[], %(keys)s::text[], %(reasons)s::text[], %(times)s::timestamptz[])
        AS u (scope, key, reason, at)
), stopped AS MATERIALIZED (
    SELECT c.id, why.scope, why.key, why.reason
    FROM marketing_campaigns AS c
    LEFT JOIN business_numbers AS n ON n.phone_number_id = c.phone_number_id
    CROSS JOIN LATERAL (
        SELECT u.scope, u.key, u.reason FROM reported AS u
        WHERE coalesce(c.started_at, c.activated_at, c.created_at) < u.at AND CASE u.scope
                  WHEN 'template' THEN u.key = c.template_name || '/' || c.language_code
                  WHEN 'number' THEN is_meant(u.key, c.phone_number_id, n.digits)
                  WHEN 'account' THEN true
                  ELSE false END
        ORDER BY u.at, u.scope, u.key, u.reason LIMIT 1
    ) AS why
    WHERE c.status = 'active'
    ORDER BY c.id FOR NO KEY UPDATE OF c
), noted AS (
    INSERT INTO breaker_changes (change, scope, key, campaign_id, reason, needs_human)
    SELECT 'campaign_paused', scope, key, id, reason, true FROM stopped
)
UPDATE marketing_campaigns AS c SET status = 'paused', pause_reason = stopped.reason
FROM stopped WHERE c.id = stopped.id AND c.status = 'active'
RETURNING c.id, c.pause_reason
