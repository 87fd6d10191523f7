-- Events that wait because another session has locked their recipient. The other events of their batch do not wait.

CREATE TABLE held_events (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recipient_id    uuid,
    topic           text NOT NULL,
    topic_partition integer NOT NULL,
    topic_offset    bigint NOT NULL,
    key             bytea,
    value           bytea,
    header_names    text[] NOT NULL,
    header_values   bytea[] NOT NULL,
    written_at      timestamptz NOT NULL,
    held_at         timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE held_events IS 'Records of recipient.events that the sink has passed and not applied yet';
COMMENT ON COLUMN held_events.recipient_id IS 'The locked recipient, also for a status that only has a wamid';
CREATE INDEX held_events_recipient ON held_events (recipient_id);
