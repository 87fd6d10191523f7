-- Views for SQL users. They show the figures of the REST API, and recipients without their numbers.

-- The rounding of the rates in `domain.stats`: per cent with one decimal, a half rounded up.
CREATE FUNCTION report_percentage(part bigint, whole bigint) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN whole <= 0 THEN 0 ELSE round(((2000 * part + whole) / (2 * whole))::numeric / 10, 1) END
$$;

CREATE VIEW report_counters AS
SELECT campaign_id, dimension, key, sum(n)::bigint AS n
FROM (SELECT campaign_id, dimension, key, n FROM campaign_counters
      UNION ALL SELECT campaign_id, dimension, key, n FROM campaign_counter_deltas) AS every
GROUP BY campaign_id, dimension, key HAVING sum(n) <> 0;
COMMENT ON VIEW report_counters IS 'The counters of campaigns, with the changes that are not folded yet';

CREATE VIEW report_campaigns AS
SELECT c.id AS campaign_id, c.name AS campaign_name, c.status, c.created_at, c.activated_at, c.completed_at,
       n.total_target, n.pending, n.queued, n.sent, n.delivered, n.read, n.replied, n.failed, n.skipped, n.unknown,
       n.retrying, h.handled, report_percentage(h.handled, n.total_target) AS progress_percentage,
       report_percentage(n.delivered, n.sent) AS delivery_rate, report_percentage(n.read, n.sent) AS read_rate,
       coalesce(s.version, 0) AS version
FROM marketing_campaigns AS c
LEFT JOIN campaign_stats AS s ON s.campaign_id = c.id
CROSS JOIN LATERAL (
    SELECT coalesce(sum(k.n) FILTER (WHERE k.dimension = 'funnel' AND k.key = 'total'), 0)::bigint AS total_target,
           coalesce(sum(k.n) FILTER (WHERE k.dimension = 'status' AND k.key = 'pending'), 0)::bigint AS pending,
           coalesce(sum(k.n) FILTER (WHERE k.dimension = 'status' AND k.key = 'queued'), 0)::bigint AS queued,
           coalesce(sum(k.n) FILTER (WHERE k.dimension = 'funnel' AND k.key = 'sent'), 0)::bigint AS sent,
           coalesce(sum(k.n) FILTER (WHERE k.dimension = 'funnel' AND k.key = 'delivered'), 0)::bigint AS delivered,
           coalesce(sum(k.n) FILTER (WHERE k.dimension = 'funnel' AND k.key = 'read'), 0)::bigint AS read,
           coalesce(sum(k.n) FILTER (WHERE k.dimension = 'funnel' AND k.key = 'replied'), 0)::bigint AS replied,
           coalesce(sum(k.n) FILTER (WHERE k.dimension = 'status' AND k.key = 'failed'), 0)::bigint AS failed,
           coalesce(sum(k.n) FILTER (WHERE k.dimension = 'status' AND k.key = 'skipped'), 0)::bigint AS skipped,
           coalesce(sum(k.n) FILTER (WHERE k.dimension = 'status' AND k.key = 'unknown'), 0)::bigint AS unknown,
           coalesce(sum(k.n) FILTER (WHERE k.dimension = 'funnel' AND k.key = 'retrying'), 0)::bigint AS retrying,
           coalesce(sum(k.n) FILTER (WHERE k.dimension = 'skip' AND k.key = 'campaign_cancelled'), 0)::bigint AS cancelled
    FROM (SELECT dimension, key, n FROM campaign_counters WHERE campaign_id = c.id
          UNION ALL SELECT dimension, key, n FROM campaign_counter_deltas WHERE campaign_id = c.id) AS k) AS n
CROSS JOIN LATERAL (SELECT n.total_target - n.pending - n.queued - n.cancelled AS handled) AS h;
COMMENT ON VIEW report_campaigns IS 'The figures of GET /v1/campaigns/{id}/stats, exact at the time of the query';

CREATE VIEW report_failures AS
SELECT campaign_id, key AS code, n AS recipients FROM report_counters WHERE dimension = 'failure';
COMMENT ON VIEW report_failures IS 'Recipients whose status is failed, by code of WhatsApp or reason code';

CREATE VIEW report_skips AS
SELECT campaign_id, key AS reason, n AS recipients FROM report_counters WHERE dimension = 'skip';
COMMENT ON VIEW report_skips IS 'Recipients that get no message, by reason code';

CREATE VIEW report_timeline AS
SELECT campaign_id, minute, sent, delivered, read, failed, replied FROM campaign_timeline;
COMMENT ON VIEW report_timeline IS 'How many recipients changed in each minute; the newest second may not be folded yet';

CREATE VIEW report_recipients AS
SELECT r.id AS recipient_id, r.campaign_id, right(r.phone_number, 4) AS phone_number_end, r.status, r.attempt,
       r.created_at, r.sent_at, r.delivered_at, r.read_at, r.replied_at,
       CASE r.status WHEN 'failed' THEN r.failed_at END AS failed_at,
       CASE r.status WHEN 'failed' THEN failure_counter_key(r.failure_code, r.failure_text) END AS failure,
       CASE r.status WHEN 'skipped' THEN skip_counter_key(r.skip_reason) END AS skip, r.next_attempt_at
FROM campaign_recipients AS r;
COMMENT ON VIEW report_recipients IS 'The recipients without their numbers: only the last four digits';
