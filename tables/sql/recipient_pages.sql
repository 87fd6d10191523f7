-- Statements that list campaign_recipients.

-- name: list_recipients
-- Read a page of a campaign's recipients in the order of their ids. The columns of the original table come first.
SELECT id, campaign_id, phone_number, status, whatsapp_message_id, scheduled_send_date, sent_at, delivered_at, read_at,
       failed_at, failure_reason, retry_count, max_retries, template_parameters, created_at, updated_at,
       attempt, failure_code, next_attempt_at, person
FROM campaign_recipients
WHERE campaign_id = %(campaign)s AND id > %(after)s
  AND (%(statuses)s::text[] IS NULL OR status = ANY (%(statuses)s::text[]))
ORDER BY id LIMIT %(limit)s

-- name: list_person
-- Read the rows of one person in a campaign, as list_recipients does. The unique index finds them.
SELECT id, campaign_id, phone_number, status, whatsapp_message_id, scheduled_send_date, sent_at, delivered_at, read_at,
       failed_at, failure_reason, retry_count, max_retries, template_parameters, created_at, updated_at,
       attempt, failure_code, next_attempt_at, person
FROM campaign_recipients
WHERE campaign_id = %(campaign)s AND person = %(person)s AND id > %(after)s
  AND (%(statuses)s::text[] IS NULL OR status = ANY (%(statuses)s::text[]))
ORDER BY id LIMIT %(limit)s
