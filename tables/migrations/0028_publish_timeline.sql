-- The minutes of a campaign are published on the topic campaign.timeline, each with its replies and a version.

ALTER TABLE campaign_timeline
    ADD COLUMN replied           bigint NOT NULL DEFAULT 0,
    ADD COLUMN version           bigint NOT NULL DEFAULT 1,
    ADD COLUMN published_version bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN campaign_timeline.version IS 'Rises with each change of the minute, so that the last record of it wins';
CREATE INDEX campaign_timeline_unpublished ON campaign_timeline (minute, campaign_id)
    WHERE version > published_version;
