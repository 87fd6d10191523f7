-- The page finds recipients by the beginning of their user id.

CREATE INDEX campaign_recipients_user_search ON campaign_recipients (campaign_id, user_id text_pattern_ops)
    WHERE user_id IS NOT NULL;
