-- Tables whose rows live for seconds are vacuumed by a number of dead rows, not by a share of the table. A release knows the
-- topic of its job. On a standby nothing is released, instead of an error that looks like a bug.

ALTER TABLE releases SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
ALTER TABLE campaign_counter_deltas SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
ALTER TABLE campaign_counters SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
ALTER TABLE campaign_stats SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
ALTER TABLE campaign_days SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
ALTER TABLE number_rates SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
ALTER TABLE subscription_outbox SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

ALTER TABLE releases ADD COLUMN job_topic_id text;
COMMENT ON COLUMN releases.job_topic_id IS 'The id of the topic: in a recreated one the offset means nothing';

CREATE OR REPLACE FUNCTION current_timeline() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN NOT pg_is_in_recovery() THEN substring(pg_walfile_name(pg_current_wal_lsn()) FOR 8) END
$$;
