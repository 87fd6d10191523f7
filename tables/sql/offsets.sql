-- Statements of sink_offsets.

-- name: start_offsets
-- Begins at the lowest offset where none is stored.
INSERT INTO sink_offsets (topic, topic_partition, cluster_id, topic_id, next_offset)
SELECT %(topic)s, p, %(cluster_id)s, %(topic_id)s, low
FROM unnest(%(partitions)s::integer[], %(lows)s::bigint[]) AS started (p, low)
ON CONFLICT (topic, topic_partition) DO NOTHING

-- name: read_offsets
-- Where the sink stands, and in which topic.
SELECT topic_partition, cluster_id, topic_id, next_offset FROM sink_offsets
WHERE topic = %(topic)s AND topic_partition = ANY(%(partitions)s::integer[])

-- name: advance_offsets
-- Compare and set for every partition of the batch, in order; raises CS001 where another sink was faster.
SELECT advance_sink_offset(%(topic)s, p, %(cluster_id)s, %(topic_id)s, expected, next)
FROM unnest(%(partitions)s::integer[], %(expected)s::bigint[], %(next)s::bigint[]) AS moves (p, expected, next)

-- name: accept_topic
-- Declares the topic as it is now to be the one, from its beginning. Where it is another one, or has lost its end, it does not hold all
-- that rows know from before.
INSERT INTO sink_offsets AS known (topic, topic_partition, cluster_id, topic_id, next_offset)
SELECT %(topic)s, p, %(cluster_id)s, %(topic_id)s, low
FROM unnest(%(partitions)s::integer[], %(lows)s::bigint[]) AS accepted (p, low)
ON CONFLICT (topic, topic_partition) DO UPDATE SET
    cluster_id = excluded.cluster_id, topic_id = excluded.topic_id, next_offset = excluded.next_offset,
    updated_at = clock_timestamp(),
    accepted_at = CASE
        WHEN (known.cluster_id, known.topic_id) = (excluded.cluster_id, excluded.topic_id) AND known.next_offset <= (
            SELECT high FROM unnest(%(partitions)s::integer[], %(highs)s::bigint[]) AS ends (p, high)
            WHERE p = known.topic_partition)
        THEN known.accepted_at ELSE clock_timestamp() END
