-- Statements of the places of released jobs in `send.jobs`, and of the jobs to publish again.

-- name: record_published
-- Record where the jobs were published. A row that a claim is deleting at this moment is skipped: it needs no record.
WITH job AS MATERIALIZED (
    SELECT rel.recipient_id, rel.attempt, u.job_partition, u.job_offset
    FROM releases AS rel
    JOIN unnest(%(recipients)s::uuid[], %(attempts)s::smallint[], %(partitions)s::integer[], %(offsets)s::bigint[])
        AS u (recipient_id, attempt, job_partition, job_offset) USING (recipient_id, attempt)
    FOR NO KEY UPDATE OF rel SKIP LOCKED
)
UPDATE releases AS rel SET
    published_at = clock_timestamp(), publish_count = rel.publish_count + 1,
    job_partition = job.job_partition, job_offset = job.job_offset, job_topic_id = %(topic_id)s
FROM job WHERE rel.recipient_id = job.recipient_id AND rel.attempt = job.attempt

-- name: find_unclaimed
-- Releases of a page whose job must be published (again): it was never published, because the leader died in between; or
-- the sender's group has passed it and it was not claimed; or the topic was recreated since; or it was published so long
-- ago that the topic may be lost.
WITH waiting AS MATERIALIZED (
    SELECT rel.recipient_id, rel.attempt, rel.send_before, rel.phone_number_id, rel.campaign_id, rel.released_at
    FROM releases AS rel
    LEFT JOIN unnest(%(partitions)s::integer[], %(committed)s::bigint[]) AS sender (job_partition, next_offset)
        ON sender.job_partition = rel.job_partition
    WHERE (rel.recipient_id, rel.attempt) > (%(after_id)s::uuid, %(after_attempt)s::smallint)
      AND (rel.recipient_id, rel.attempt) <= (%(last_id)s::uuid, %(last_attempt)s::smallint)
      AND (
          (rel.published_at IS NULL AND rel.released_at < now() - %(grace_s)s * interval '1 second')
          OR (sender.next_offset > rel.job_offset AND rel.published_at < now() - least(
                %(delay_max_s)s, %(delay_s)s * power(2, least(rel.publish_count - 1, 20))) * interval '1 second')
          OR (rel.job_topic_id <> %(topic_id)s::text AND rel.published_at < now() - %(delay_s)s * interval '1 second')
          OR rel.published_at < now() - %(lost_s)s * interval '1 second'
      )
)
SELECT rel.recipient_id, rel.attempt, r.phone_number, r.user_id, r.template_parameters, rel.send_before, rel.phone_number_id,
       c.id, c.template_name, c.language_code, c.endpoint
FROM waiting AS rel
JOIN marketing_campaigns AS c ON c.id = rel.campaign_id
-- The limits keep Postgres from reading a whole table for a hash.
CROSS JOIN LATERAL (
    SELECT r.phone_number, r.user_id, r.template_parameters FROM campaign_recipients AS r
    WHERE r.id = rel.recipient_id AND r.attempt = rel.attempt AND r.status = 'queued' AND r.next_attempt_at IS NULL LIMIT 1
) AS r
LEFT JOIN LATERAL (
    SELECT true AS is_known FROM send_ledger AS l
    WHERE l.recipient_id = rel.recipient_id AND l.attempt = rel.attempt LIMIT 1
) AS l ON true
WHERE c.status = 'active' AND l.is_known IS NULL
ORDER BY rel.released_at LIMIT %(limit)s
