-- Statements of dead_letter_acts: the dead letters that an operator has redriven or dropped.

-- name: find_acts
-- Those of these dead letters that were redriven or dropped.
SELECT topic_partition, topic_offset, act FROM dead_letter_acts
WHERE topic_id = %(topic_id)s AND (topic_partition, topic_offset) IN (
    SELECT p, o FROM unnest(%(partitions)s::integer[], %(offsets)s::bigint[]) AS u (p, o))

-- name: record_acts
-- Remember that these dead letters were redriven or dropped.
INSERT INTO dead_letter_acts (topic_id, topic_partition, topic_offset, topic, act)
SELECT %(topic_id)s, p, o, %(topic)s, %(act)s FROM unnest(%(partitions)s::integer[], %(offsets)s::bigint[]) AS u (p, o)
ON CONFLICT DO NOTHING

-- name: count_acts
-- How many of the dead letters that the topics still contain were redriven or dropped, by topic.
SELECT acts.topic_id, count(*) FROM dead_letter_acts AS acts
JOIN unnest(%(topic_ids)s::text[], %(partitions)s::integer[], %(lows)s::bigint[], %(highs)s::bigint[])
    AS kept (topic_id, topic_partition, low, high) USING (topic_id, topic_partition)
WHERE acts.topic_offset >= kept.low AND acts.topic_offset < kept.high
GROUP BY acts.topic_id
