-- A campaign that can send has values that a job can carry. The due rows get two indexes, so that retries do not queue
-- behind recipients without an attempt, and a search can begin after a row.

UPDATE marketing_campaigns SET status = 'paused', pause_reason = CASE
        WHEN language_code !~ '^[a-z]{2,3}(_[A-Za-z0-9]{2,8})?$' THEN 'invalid_language_code'
        WHEN length(template_name) > 512 THEN 'invalid_template_name'
        WHEN length(phone_number_id) > 64 THEN 'invalid_phone_number_id'
        ELSE 'invalid_time_zone' END
WHERE status NOT IN ('paused', 'cancelled') AND NOT (
    language_code ~ '^[a-z]{2,3}(_[A-Za-z0-9]{2,8})?$' AND length(template_name) <= 512
    AND length(phone_number_id) <= 64 AND time_zone ~ '^[A-Za-z][A-Za-z0-9_+/-]{0,99}$');
ALTER TABLE marketing_campaigns ADD CONSTRAINT marketing_campaigns_sendable
    CHECK (status IN ('paused', 'cancelled') OR (
        language_code ~ '^[a-z]{2,3}(_[A-Za-z0-9]{2,8})?$' AND length(template_name) <= 512
        AND length(phone_number_id) <= 64 AND time_zone ~ '^[A-Za-z][A-Za-z0-9_+/-]{0,99}$'));

CREATE INDEX campaign_recipients_due_fresh ON campaign_recipients (campaign_id, next_attempt_at, id)
    WHERE next_attempt_at IS NOT NULL AND attempt = 0;
CREATE INDEX campaign_recipients_due_tried ON campaign_recipients (campaign_id, next_attempt_at, id)
    WHERE next_attempt_at IS NOT NULL AND attempt > 0;
DROP INDEX campaign_recipients_due;
