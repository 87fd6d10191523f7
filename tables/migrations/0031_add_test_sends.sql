-- Campaigns by which an operator sends the message of another campaign to himself. Lists of campaigns leave them out.

CREATE TABLE test_sends (
    campaign_id uuid PRIMARY KEY REFERENCES marketing_campaigns (id) ON DELETE CASCADE,
    test_of     uuid NOT NULL
);
CREATE INDEX test_sends_of ON test_sends (test_of, campaign_id);
COMMENT ON COLUMN test_sends.test_of IS 'The campaign whose message is tested. It may have been deleted since.';
