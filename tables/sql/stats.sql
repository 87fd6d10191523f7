-- Statements of the counters. Triggers write deltas, fold_deltas folds them, and readers add the deltas not folded yet.

-- name: fold_deltas
-- Move a chunk of deltas into the counters, and raise the version of each campaign in it. The chunk begins after a place
-- in the table, so that the chunks of one pass do not read the rows that earlier ones have deleted. Several sessions may
-- fold at the same time: each delta is counted by the session that deletes it.
-- It keeps how many were handled in each of seven minutes and the next one (a clock may be ahead): no two share a slot.
WITH chunk AS MATERIALIZED (
    SELECT ctid AS place FROM campaign_counter_deltas WHERE ctid > %(after)s::tid LIMIT %(rows_max)s),
moved AS (
    DELETE FROM campaign_counter_deltas WHERE ctid = ANY (ARRAY(SELECT place FROM chunk))
    RETURNING campaign_id, dimension, key, n, counted_at),
summed AS (
    SELECT campaign_id, dimension, key, sum(n) AS n FROM moved GROUP BY campaign_id, dimension, key),
folded AS (
    INSERT INTO campaign_counters AS known (campaign_id, dimension, key, n)
    SELECT campaign_id, dimension, key, n FROM summed WHERE n <> 0 ORDER BY campaign_id, dimension, key
    ON CONFLICT (campaign_id, dimension, key) DO UPDATE SET n = known.n + excluded.n),
timed AS (
    SELECT campaign_id, date_trunc('minute', counted_at) AS minute, sum(handled_in_delta(dimension, key, n)) AS handled
    FROM moved
    WHERE counted_at >= date_trunc('minute', statement_timestamp()) - interval '6 minutes'
      AND counted_at < date_trunc('minute', statement_timestamp()) + interval '2 minutes'
    GROUP BY 1, 2),
kept AS (
    INSERT INTO campaign_minutes AS known (campaign_id, slot, minute, handled)
    SELECT campaign_id, mod(extract(epoch FROM minute)::bigint / 60, 8), minute, handled FROM timed
    WHERE handled <> 0 ORDER BY campaign_id, 2
    ON CONFLICT (campaign_id, slot) DO UPDATE SET
        minute = excluded.minute,
        handled = excluded.handled + CASE WHEN known.minute = excluded.minute THEN known.handled ELSE 0 END),
charted AS (
    INSERT INTO campaign_timeline AS known (campaign_id, minute, sent, delivered, read, failed, replied)
    SELECT campaign_id, minute, sent, delivered, read, failed, replied
    FROM (SELECT campaign_id, date_trunc('minute', counted_at) AS minute,
                 coalesce(sum(n) FILTER (WHERE dimension = 'funnel' AND key = 'sent'), 0) AS sent,
                 coalesce(sum(n) FILTER (WHERE dimension = 'funnel' AND key = 'delivered'), 0) AS delivered,
                 coalesce(sum(n) FILTER (WHERE dimension = 'funnel' AND key = 'read'), 0) AS read,
                 coalesce(sum(n) FILTER (WHERE dimension = 'status' AND key = 'failed'), 0) AS failed,
                 coalesce(sum(n) FILTER (WHERE dimension = 'funnel' AND key = 'replied'), 0) AS replied
          FROM moved GROUP BY 1, 2) AS changes
    WHERE (sent, delivered, read, failed, replied) <> (0, 0, 0, 0, 0) ORDER BY campaign_id, minute
    ON CONFLICT (campaign_id, minute) DO UPDATE SET
        sent = known.sent + excluded.sent, delivered = known.delivered + excluded.delivered,
        read = known.read + excluded.read, failed = known.failed + excluded.failed,
        replied = known.replied + excluded.replied, version = known.version + 1),
raised AS (
    INSERT INTO campaign_stats AS s (campaign_id, version, campaign_status, folded_at)
    SELECT changed.campaign_id, 1, c.status, clock_timestamp()
    FROM (SELECT DISTINCT campaign_id FROM summed) AS changed JOIN marketing_campaigns AS c ON c.id = changed.campaign_id
    ORDER BY changed.campaign_id
    ON CONFLICT (campaign_id) DO UPDATE SET
        version = s.version + 1, campaign_status = excluded.campaign_status, folded_at = excluded.folded_at)
SELECT count(*), max(place)::text FROM chunk

-- name: read_stats
-- The counters plus the deltas not folded yet: exact at the time of the statement. With them what an estimate of the end
-- needs: the recipients handled in this minute and the four before, or since the start, the budgets of these days, and
-- whether a canary limits the campaign.
WITH wanted AS MATERIALIZED (
    SELECT c.id, c.name, c.status, c.time_zone, c.daily_send_limit, c.start_at,
           c.window_days, c.window_from, c.window_to, c.quiet_from, c.quiet_to,
           greatest(date_trunc('minute', statement_timestamp()) - interval '4 minutes', c.started_at) AS since,
           c.canary AND EXISTS (SELECT FROM campaign_canaries AS k
                                WHERE k.campaign_id = c.id AND k.allowed IS NOT NULL) AS has_canary
    FROM marketing_campaigns AS c WHERE c.id = ANY(%(ids)s::uuid[]))
SELECT c.id, c.name, c.status, coalesce(s.version, 0), statement_timestamp(), coalesce(t.counters, '{}'),
       c.time_zone, c.daily_send_limit, coalesce(d.used, '{}'), c.since, p.handled::bigint, c.start_at,
       c.has_canary, c.window_days, c.window_from, c.window_to, c.quiet_from, c.quiet_to
FROM wanted AS c
LEFT JOIN campaign_stats AS s ON s.campaign_id = c.id
LEFT JOIN LATERAL (
    SELECT jsonb_object_agg(dimension || '/' || key, n) AS counters
    FROM (SELECT dimension, key, sum(n) AS n
          FROM (SELECT dimension, key, n FROM campaign_counters WHERE campaign_id = c.id
                UNION ALL
                SELECT dimension, key, n FROM campaign_counter_deltas WHERE campaign_id = c.id) AS every
          GROUP BY dimension, key HAVING sum(n) <> 0) AS summed) AS t ON true
LEFT JOIN LATERAL (
    SELECT jsonb_object_agg(day, used) AS used FROM campaign_days
    WHERE campaign_id = c.id AND day BETWEEN statement_timestamp()::date - 2 AND statement_timestamp()::date + 2
) AS d ON true
LEFT JOIN LATERAL (
    SELECT coalesce(sum(handled), 0) AS handled
    FROM (SELECT handled FROM campaign_minutes WHERE campaign_id = c.id AND minute >= date_trunc('minute', c.since)
          UNION ALL
          SELECT handled_in_delta(dimension, key, n) FROM campaign_counter_deltas
          WHERE campaign_id = c.id AND counted_at >= date_trunc('minute', c.since)) AS every) AS p ON true

-- name: read_waiting
-- The recipients of the active campaigns who wait for a release: they share the budget of the portfolio.
SELECT c.id, greatest(0, waiting.n)::bigint
FROM marketing_campaigns AS c
CROSS JOIN LATERAL (
    SELECT coalesce(sum(n), 0) AS n
    FROM (SELECT n FROM campaign_counters WHERE campaign_id = c.id AND dimension = 'status' AND key = 'pending'
          UNION ALL
          SELECT n FROM campaign_counter_deltas
          WHERE campaign_id = c.id AND dimension = 'status' AND key = 'pending') AS every) AS waiting
WHERE c.status = 'active'

-- name: read_timeline
-- The last minutes of a campaign in which a counter changed, the newest first.
SELECT minute, sent, delivered, read, failed, replied FROM campaign_timeline
WHERE campaign_id = %(campaign)s ORDER BY minute DESC LIMIT %(limit)s

-- name: read_unpublished_minutes
-- Minutes whose last version is not published, the oldest first.
SELECT campaign_id, minute, sent, delivered, read, failed, replied, version FROM campaign_timeline
WHERE version > published_version ORDER BY minute, campaign_id LIMIT %(rows_max)s

-- name: mark_minutes_published
-- Mark versions of minutes as published: Kafka has acknowledged them.
UPDATE campaign_timeline AS t SET published_version = p.version
FROM unnest(%(ids)s::uuid[], %(minutes)s::timestamptz[], %(versions)s::bigint[]) AS p (id, minute, version)
WHERE t.campaign_id = p.id AND t.minute = p.minute AND t.published_version < p.version

-- name: read_unpublished
-- The folded counters of every campaign whose last version is not published, the oldest first.
SELECT c.id, c.name, s.campaign_status, s.version, s.folded_at,
       coalesce((SELECT jsonb_object_agg(k.dimension || '/' || k.key, k.n) FROM campaign_counters AS k
                 WHERE k.campaign_id = c.id AND k.n <> 0), '{}')
FROM campaign_stats AS s JOIN marketing_campaigns AS c ON c.id = s.campaign_id
WHERE s.version > greatest(s.published_version, s.refused_version)
ORDER BY s.folded_at LIMIT %(rows_max)s

-- name: mark_published
-- Mark versions as published: Kafka has acknowledged them.
UPDATE campaign_stats AS s SET published_version = p.version, published_at = clock_timestamp()
FROM unnest(%(ids)s::uuid[], %(versions)s::bigint[]) AS p (id, version)
WHERE s.campaign_id = p.id AND s.published_version < p.version

-- name: mark_refused
-- Record versions that Kafka cannot take. A later version is published again.
UPDATE campaign_stats AS s SET refused_version = p.version
FROM unnest(%(ids)s::uuid[], %(versions)s::bigint[]) AS p (id, version)
WHERE s.campaign_id = p.id AND s.refused_version < p.version

-- name: read_deleted
-- Deleted campaigns whose snapshot is still in the topic.
SELECT campaign_id FROM deleted_snapshots ORDER BY campaign_id LIMIT %(rows_max)s

-- name: forget_deleted
-- Forget deleted campaigns: Kafka has acknowledged the deletion of their snapshots.
DELETE FROM deleted_snapshots WHERE campaign_id = ANY (%(ids)s::uuid[])

-- name: recount
-- Differences between the counters (folded or not) and the rows, in one snapshot. No row means that they are equal.
WITH stored AS (
    SELECT dimension, key, sum(n) AS n
    FROM (SELECT dimension, key, n FROM campaign_counters WHERE campaign_id = %(id)s
          UNION ALL
          SELECT dimension, key, n FROM campaign_counter_deltas WHERE campaign_id = %(id)s) AS every
    GROUP BY dimension, key HAVING sum(n) <> 0),
mine AS MATERIALIZED (
    SELECT status, sent_at, delivered_at, read_at, replied_at, next_attempt_at, failure_code, failure_text, skip_reason,
           window_country, person, price, wait_counter_key(
               status, next_attempt_at, attempt, deferred_attempt, capped_until, retry_attempt, failure_class) AS wait
    FROM campaign_recipients WHERE campaign_id = %(id)s),
counted AS (
    SELECT 'funnel' AS dimension, key, n
    FROM (SELECT count(*) AS total, count(sent_at) AS sent, count(delivered_at) AS delivered, count(read_at) AS read,
                 count(replied_at) AS replied,
                 count(*) FILTER (WHERE status IN ('failed', 'unknown') AND next_attempt_at IS NOT NULL) AS retrying,
                 count(next_attempt_at) AS due
          FROM mine) AS sums
    CROSS JOIN LATERAL (VALUES ('total', total), ('sent', sent), ('delivered', delivered), ('read', read),
                               ('replied', replied), ('retrying', retrying), ('due', due)) AS keyed (key, n)
    WHERE n <> 0
    UNION ALL SELECT 'status', status, count(*) FROM mine GROUP BY status
    UNION ALL SELECT 'failure', failure_counter_key(failure_code, failure_text), count(*) FROM mine
              WHERE status = 'failed' GROUP BY 2
    UNION ALL SELECT 'funnel', 'opted_out', count(*) FROM campaign_opt_outs WHERE campaign_id = %(id)s AND opt_outs > 0
              HAVING count(*) > 0
    UNION ALL SELECT 'skip', skip_counter_key(skip_reason), count(*) FROM mine
              WHERE status = 'skipped' GROUP BY 2
    UNION ALL SELECT 'prefix', prefix_of(person), count(*) FROM mine GROUP BY 2
    UNION ALL SELECT 'price', price_counter_key(price) || '/' || prefix_of(person), count(*) FROM mine
              WHERE price IS NOT NULL AND delivered_at IS NOT NULL GROUP BY 2
    UNION ALL SELECT 'wait', wait, count(*) FROM mine WHERE wait IS NOT NULL GROUP BY 2
    UNION ALL SELECT 'window', window_country, count(*) FROM mine
              WHERE window_country IS NOT NULL AND wait NOT IN ('backoff', 'held_back', 'frequency_cap') GROUP BY 2)
SELECT dimension, key, coalesce(stored.n, 0)::bigint, coalesce(counted.n, 0)::bigint
FROM stored FULL JOIN counted USING (dimension, key)
WHERE stored.n IS DISTINCT FROM counted.n
ORDER BY dimension, key
