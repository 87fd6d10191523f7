-- How far the rows of another table are taken over into a campaign, so that an interrupted adoption goes on. Its key keeps
-- such a campaign from being deleted: its messages were sent.

CREATE TABLE adoptions (
    campaign_id  uuid PRIMARY KEY REFERENCES marketing_campaigns (id),
    source       text NOT NULL,
    done_through text,
    adopted      bigint NOT NULL DEFAULT 0,
    refused      bigint NOT NULL DEFAULT 0,
    begun_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at     timestamptz
);
COMMENT ON COLUMN adoptions.done_through IS 'The last key whose row is in the campaign and whose events are in Kafka';
