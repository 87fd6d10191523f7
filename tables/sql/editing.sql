-- Statements that change the settings of campaigns.

-- name: change_settings
-- Change the settings of a locked campaign.
UPDATE marketing_campaigns SET
    name = %(name)s, template_name = %(template_name)s, language_code = %(language_code)s,
    daily_send_limit = %(daily_send_limit)s, phone_number_id = %(phone_number_id)s, time_zone = %(time_zone)s,
    country = %(country)s, window_days = %(window_days)s::text[], window_from = %(window_from)s,
    window_to = %(window_to)s, window_zone = %(window_zone)s, quiet_from = %(quiet_from)s, quiet_to = %(quiet_to)s,
    start_at = %(start_at)s, stale_after_hours = %(stale_after_hours)s, canary = %(canary)s,
    canary_percent = %(canary_percent)s, canary_min = %(canary_min)s, canary_max = %(canary_max)s,
    canary_wait_minutes = %(canary_wait_minutes)s, failure_limit_percent = %(failure_limit_percent)s,
    opt_out_limit_percent = %(opt_out_limit_percent)s, block_limit_percent = %(block_limit_percent)s,
    unknown_limit_percent = %(unknown_limit_percent)s, frequency_capped = %(frequency_capped)s,
    cap_wait_days = %(cap_wait_days)s, exclude_campaigns = %(exclude_campaigns)s::uuid[],
    exclude_recipients = %(exclude_recipients)s, endpoint = %(endpoint)s
WHERE id = %(id)s

-- name: expire_released
-- Attempts that were released for another window or an earlier start, and are not posted, expire now. They are due again at
-- once, so the new window decides about them.
WITH released AS (
    UPDATE releases SET send_before = clock_timestamp() WHERE campaign_id = %(id)s
)
UPDATE send_ledger AS l SET send_before = clock_timestamp()
FROM (SELECT recipient_id, attempt FROM send_ledger WHERE outcome IS NULL AND campaign_id = %(id)s) AS open
WHERE l.recipient_id = open.recipient_id AND l.attempt = open.attempt AND l.outcome IS NULL
