-- Statements that change the settings of campaigns.

-- name: change_settings
-- Change the settings of a locked campaign.
UPDATE marketing_campaigns SET
    name = %(name)s, template_name = %(template_name)s, language_code = %(language_code)s,
    daily_send_limit = %(daily_send_limit)s, phone_number_id = %(phone_number_id)s, time_zone = %(time_zone)s,
    country = %(country)s
WHERE id = %(id)s
