-- What repair remembers: how far each replay has come, and which dead letters an operator has dealt with.

-- How far a replay has come, so that it can go on after any end. A replay writes no live topic and no sink offset.
CREATE TABLE replay_runs (
    id            uuid PRIMARY KEY,
    topic         text NOT NULL,
    cluster_id    text NOT NULL,
    topic_id      text NOT NULL,
    campaign_id   uuid,
    records_total bigint NOT NULL,
    records_done  bigint NOT NULL DEFAULT 0,
    events_done   bigint NOT NULL DEFAULT 0,
    rows_changed  bigint NOT NULL DEFAULT 0,
    started_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at   timestamptz
);
CREATE TABLE replay_positions (
    run_id          uuid NOT NULL REFERENCES replay_runs (id) ON DELETE CASCADE,
    topic_partition integer NOT NULL,
    next_offset     bigint NOT NULL,
    end_offset      bigint NOT NULL,
    PRIMARY KEY (run_id, topic_partition)
);

-- Dead letters that an operator has dealt with. A topic made anew has another id, so its offsets are not mistaken for these.
CREATE TABLE dead_letter_acts (
    topic_id        text NOT NULL,
    topic_partition integer NOT NULL,
    topic_offset    bigint NOT NULL,
    topic           text NOT NULL,
    act             text NOT NULL CHECK (act IN ('redriven', 'dropped')),
    acted_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (topic_id, topic_partition, topic_offset)
);
