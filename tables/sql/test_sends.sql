-- Statements of test_sends: the campaigns by which an operator sends a campaign's message to himself.

-- name: add_test
-- Note that a campaign is a test of another one.
INSERT INTO test_sends (campaign_id, test_of) VALUES (%(campaign)s, %(test_of)s)

-- name: retry_never
-- A test is not repeated by itself: its recipients get no second attempt after a failure.
UPDATE campaign_recipients SET max_retries = 0, updated_at = clock_timestamp() WHERE campaign_id = %(campaign)s

-- name: list_tests
-- The newest tests of a campaign.
SELECT t.campaign_id, t.test_of, c.status, c.pause_reason, c.created_at
FROM test_sends AS t JOIN marketing_campaigns AS c ON c.id = t.campaign_id
WHERE t.test_of = %(test_of)s ORDER BY t.campaign_id DESC LIMIT %(limit)s

-- name: list_messages
-- The messages of these tests. A test has ten recipients at most.
SELECT campaign_id, id, coalesce(phone_number, person), status, failure_code, failure_reason, whatsapp_message_id,
       sent_at, delivered_at, read_at
FROM campaign_recipients WHERE campaign_id = ANY (%(campaigns)s::uuid[]) ORDER BY campaign_id, id LIMIT %(limit)s
