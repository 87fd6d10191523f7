-- Statements of marketing_campaigns, and those that add and plan recipients.

-- name: create_campaign
-- Create a draft.
INSERT INTO marketing_campaigns (
    name, template_name, language_code, daily_send_limit, phone_number_id, time_zone, country,
    window_days, window_from, window_to, window_zone, quiet_from, quiet_to, start_at, stale_after_hours,
    canary, canary_percent, canary_min, canary_max, canary_wait_minutes,
    failure_limit_percent, opt_out_limit_percent, block_limit_percent, unknown_limit_percent,
    frequency_capped, cap_wait_days, exclude_campaigns, exclude_recipients, endpoint)
VALUES (
    %(name)s, %(template_name)s, %(language_code)s, %(daily_send_limit)s, %(phone_number_id)s, %(time_zone)s, %(country)s,
    %(window_days)s::text[], %(window_from)s, %(window_to)s, %(window_zone)s, %(quiet_from)s, %(quiet_to)s, %(start_at)s,
    %(stale_after_hours)s,
    %(canary)s, %(canary_percent)s, %(canary_min)s, %(canary_max)s, %(canary_wait_minutes)s,
    %(failure_limit_percent)s, %(opt_out_limit_percent)s, %(block_limit_percent)s, %(unknown_limit_percent)s,
    %(frequency_capped)s, %(cap_wait_days)s, %(exclude_campaigns)s::uuid[], %(exclude_recipients)s, %(endpoint)s)
RETURNING id, name, template_name, language_code, daily_send_limit, phone_number_id, time_zone, country,
          window_days, window_from, window_to, window_zone, quiet_from, quiet_to, start_at, stale_after_hours,
          canary, canary_percent, canary_min, canary_max, canary_wait_minutes,
          failure_limit_percent, opt_out_limit_percent, block_limit_percent, unknown_limit_percent,
          frequency_capped, cap_wait_days, exclude_campaigns, exclude_recipients, endpoint,
          status, pause_reason, activated_at, completed_at, created_at, updated_at, planning, template_edited_at, template_fit

-- name: read_campaign
-- Read one campaign.
SELECT id, name, template_name, language_code, daily_send_limit, phone_number_id, time_zone, country,
       window_days, window_from, window_to, window_zone, quiet_from, quiet_to, start_at, stale_after_hours,
       canary, canary_percent, canary_min, canary_max, canary_wait_minutes,
       failure_limit_percent, opt_out_limit_percent, block_limit_percent, unknown_limit_percent,
       frequency_capped, cap_wait_days, exclude_campaigns, exclude_recipients, endpoint,
       status, pause_reason, activated_at, completed_at, created_at, updated_at, planning, template_edited_at, template_fit
FROM marketing_campaigns WHERE id = %(id)s

-- name: read_campaigns
-- Read these campaigns.
SELECT id, name, template_name, language_code, daily_send_limit, phone_number_id, time_zone, country,
       window_days, window_from, window_to, window_zone, quiet_from, quiet_to, start_at, stale_after_hours,
       canary, canary_percent, canary_min, canary_max, canary_wait_minutes,
       failure_limit_percent, opt_out_limit_percent, block_limit_percent, unknown_limit_percent,
       frequency_capped, cap_wait_days, exclude_campaigns, exclude_recipients, endpoint,
       status, pause_reason, activated_at, completed_at, created_at, updated_at, planning, template_edited_at, template_fit
FROM marketing_campaigns WHERE id = ANY (%(ids)s::uuid[])

-- name: list_campaigns
-- Read a page of campaigns without those that test others, the newest first.
SELECT id, name, template_name, language_code, daily_send_limit, phone_number_id, time_zone, country,
       window_days, window_from, window_to, window_zone, quiet_from, quiet_to, start_at, stale_after_hours,
       canary, canary_percent, canary_min, canary_max, canary_wait_minutes,
       failure_limit_percent, opt_out_limit_percent, block_limit_percent, unknown_limit_percent,
       frequency_capped, cap_wait_days, exclude_campaigns, exclude_recipients, endpoint,
       status, pause_reason, activated_at, completed_at, created_at, updated_at, planning, template_edited_at, template_fit
FROM marketing_campaigns
WHERE (%(before)s::uuid IS NULL OR id < %(before)s::uuid)
  AND NOT EXISTS (SELECT FROM test_sends AS t WHERE t.campaign_id = marketing_campaigns.id)
ORDER BY id DESC LIMIT %(limit)s

-- name: lock_campaign
-- Read one campaign and lock it against other writers until the end of the transaction. Claims and releases do not wait
-- for this lock.
SELECT id, name, template_name, language_code, daily_send_limit, phone_number_id, time_zone, country,
       window_days, window_from, window_to, window_zone, quiet_from, quiet_to, start_at, stale_after_hours,
       canary, canary_percent, canary_min, canary_max, canary_wait_minutes,
       failure_limit_percent, opt_out_limit_percent, block_limit_percent, unknown_limit_percent,
       frequency_capped, cap_wait_days, exclude_campaigns, exclude_recipients, endpoint,
       status, pause_reason, activated_at, completed_at, created_at, updated_at, planning, template_edited_at, template_fit
FROM marketing_campaigns WHERE id = %(id)s FOR NO KEY UPDATE

-- name: change_status
-- Change the status of a locked campaign. A start compares the template as it is now, so it forgets earlier edits.
UPDATE marketing_campaigns SET
    status = %(status)s,
    pause_reason = %(pause_reason)s,
    activated_at = CASE WHEN %(status)s = 'active' THEN coalesce(activated_at, clock_timestamp()) ELSE activated_at END,
    started_at = CASE WHEN %(status)s = 'active' AND status <> 'active' THEN clock_timestamp() ELSE started_at END,
    template_edited_at = CASE WHEN %(status)s = 'active' AND status <> 'active' THEN NULL ELSE template_edited_at END,
    template_fit = CASE WHEN %(status)s = 'active' AND status <> 'active' THEN NULL ELSE template_fit END,
    completed_at = CASE WHEN %(status)s = 'completed' THEN clock_timestamp() END
WHERE id = %(id)s
RETURNING id, name, template_name, language_code, daily_send_limit, phone_number_id, time_zone, country,
          window_days, window_from, window_to, window_zone, quiet_from, quiet_to, start_at, stale_after_hours,
          canary, canary_percent, canary_min, canary_max, canary_wait_minutes,
          failure_limit_percent, opt_out_limit_percent, block_limit_percent, unknown_limit_percent,
          frequency_capped, cap_wait_days, exclude_campaigns, exclude_recipients, endpoint,
          status, pause_reason, activated_at, completed_at, created_at, updated_at, planning, template_edited_at, template_fit

-- name: is_empty
-- Whether a campaign has no recipient. The order makes the planner use the index, also where most rows are of the campaign.
SELECT (SELECT id FROM campaign_recipients WHERE campaign_id = %(campaign)s ORDER BY id LIMIT 1) IS NULL

-- name: list_active
-- The ids of the active campaigns.
SELECT id FROM marketing_campaigns WHERE status = 'active' ORDER BY id

-- name: list_by_status
-- The newest campaigns of each of these statuses without those that test others, before an id if one is given, by the
-- index of statuses.
SELECT c.id, c.name, c.template_name, c.language_code, c.daily_send_limit, c.phone_number_id, c.time_zone, c.country,
       c.window_days, c.window_from, c.window_to, c.window_zone, c.quiet_from, c.quiet_to, c.start_at,
       c.stale_after_hours, c.canary, c.canary_percent, c.canary_min, c.canary_max, c.canary_wait_minutes,
       c.failure_limit_percent, c.opt_out_limit_percent, c.block_limit_percent, c.unknown_limit_percent,
       c.frequency_capped, c.cap_wait_days, c.exclude_campaigns, c.exclude_recipients, c.endpoint,
       c.status, c.pause_reason, c.activated_at, c.completed_at, c.created_at, c.updated_at, c.planning,
       c.template_edited_at, c.template_fit
FROM unnest(%(statuses)s::text[]) WITH ORDINALITY AS s (status, place)
CROSS JOIN LATERAL (
    SELECT * FROM marketing_campaigns AS m
    WHERE m.status = s.status AND (%(before)s::uuid IS NULL OR m.id < %(before)s::uuid)
      AND NOT EXISTS (SELECT FROM test_sends AS t WHERE t.campaign_id = m.id)
    ORDER BY m.id DESC LIMIT %(limit)s
) AS c
ORDER BY s.place, c.id DESC
