-- Deleted campaigns whose last snapshot is still to be removed from the topic.

CREATE TABLE deleted_snapshots (
    campaign_id uuid PRIMARY KEY,
    deleted_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
