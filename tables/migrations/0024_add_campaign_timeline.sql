-- How many messages of a campaign were sent, delivered, read and failed in each minute, for the plot on its page. The
-- statement that folds the deltas keeps it. Minutes before this migration have no rows.

CREATE TABLE campaign_timeline (
    campaign_id uuid NOT NULL,
    minute      timestamptz NOT NULL,
    sent        bigint NOT NULL,
    delivered   bigint NOT NULL,
    read        bigint NOT NULL,
    failed      bigint NOT NULL,
    PRIMARY KEY (campaign_id, minute)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
COMMENT ON TABLE campaign_timeline IS 'Changes of the counters by minute: a row for each minute in which one changed';
