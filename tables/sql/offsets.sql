-- Statements of sink_offsets: the next offset of each partition that the sink applies.

-- name: start_offsets
-- Stores the lowest offset for each partition that has none.
INSERT INTO sink_offsets (topic, topic_partition, cluster_id, topic_id, next_offset)
SELECT %(topic)s, p, %(cluster_id)s, %(topic_id)s, low
FROM unnest(%(partitions)s::integer[], %(lows)s::bigint[]) AS started (p, low)
ON CONFLICT (topic, topic_partition) DO NOTHING

-- name: read_offsets
-- The stored offset of every partition of a topic, and the topic that it belongs to.
SELECT topic_partition, next_offset, cluster_id, topic_id, accepted_at FROM sink_offsets WHERE topic = %(topic)s

-- name: advance_offsets
-- Compare-and-set for every partition of the batch, in order. Raises CS001 if another sink has advanced one of them.
SELECT advance_sink_offset(%(topic)s, p, %(cluster_id)s, %(topic_id)s, expected, next)
FROM unnest(%(partitions)s::integer[], %(expected)s::bigint[], %(next)s::bigint[]) AS moves (p, expected, next)

-- name: accept_topic
-- Binds the offsets to the topic as it is now, at its beginning. accepted_at is set if this is another topic, or if the
-- stored offset is beyond its end: then the topic does not contain everything that the rows were made from.
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
