-- Statements of replay_runs and replay_positions.

-- name: start_run
-- Store a new run.
INSERT INTO replay_runs (id, topic, cluster_id, topic_id, campaign_id, records_total)
VALUES (%(id)s, %(topic)s, %(cluster_id)s, %(topic_id)s, %(campaign)s, %(records)s)

-- name: start_run_partitions
-- Store the range of a run in each partition.
INSERT INTO replay_positions (run_id, topic_partition, first_offset, next_offset, end_offset)
SELECT %(id)s, u.p, u.first, u.first, u.last
FROM unnest(%(partitions)s::integer[], %(firsts)s::bigint[], %(ends)s::bigint[]) AS u (p, first, last)

-- name: find_run
-- The last unfinished run of a topic and campaign.
SELECT id, topic, cluster_id, topic_id, campaign_id, records_total, records_done, events_done, rows_changed
FROM replay_runs
WHERE finished_at IS NULL AND topic = %(topic)s AND campaign_id IS NOT DISTINCT FROM %(campaign)s
ORDER BY started_at DESC LIMIT 1

-- name: read_run_positions
-- The position and the end of a run in each partition.
SELECT topic_partition, next_offset, end_offset FROM replay_positions WHERE run_id = %(id)s

-- name: advance_run
-- Move the position of a run, in the transaction that applies the records.
WITH moved AS (
    UPDATE replay_positions AS p SET next_offset = greatest(p.next_offset, u.next)
    FROM unnest(%(partitions)s::integer[], %(nexts)s::bigint[]) AS u (p, next)
    WHERE p.run_id = %(id)s AND p.topic_partition = u.p)
UPDATE replay_runs SET records_done = records_done + %(records)s, events_done = events_done + %(events)s,
    rows_changed = rows_changed + %(rows)s, updated_at = clock_timestamp()
WHERE id = %(id)s

-- name: finish_run
-- Mark a run as finished.
UPDATE replay_runs SET finished_at = clock_timestamp(), updated_at = clock_timestamp() WHERE id = %(id)s

-- name: read_replayed
-- The ranges that replays have applied to the rows of a campaign, or of all campaigns.
SELECT r.topic, r.cluster_id, r.topic_id, r.campaign_id, r.updated_at, p.topic_partition, p.first_offset, p.next_offset
FROM replay_runs AS r JOIN replay_positions AS p ON p.run_id = r.id
WHERE p.next_offset > p.first_offset
  AND (%(campaign)s::uuid IS NULL OR r.campaign_id IS NULL OR r.campaign_id = %(campaign)s)
