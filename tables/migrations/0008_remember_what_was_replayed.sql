-- What an audit from the topics must know beside the sink's offsets: which records a replay has applied, and since when a topic
-- is the one that was accepted. What rows know from before may be deleted, and must not be taken from them.
-- Of a replay before this version it is not known where it began: at the beginning.
ALTER TABLE replay_positions ADD COLUMN first_offset bigint NOT NULL DEFAULT 0;
ALTER TABLE replay_positions ALTER COLUMN first_offset DROP DEFAULT;
ALTER TABLE sink_offsets ADD COLUMN accepted_at timestamptz;
COMMENT ON COLUMN sink_offsets.accepted_at IS 'When an operator accepted another topic in place of the one before; NULL: never';
