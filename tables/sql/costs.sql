-- Statements about the cost of a campaign. They read counters, a few hundred rows at most, and no recipient.

-- name: read_prices
-- The prices of the delivered recipients, how many are delivered, and the version: folded or not, in one statement.
SELECT now(), coalesce((SELECT version FROM campaign_stats WHERE campaign_id = c.id), 0), coalesce((
           SELECT jsonb_object_agg(dimension || '/' || key, n)
           FROM (SELECT dimension, key, sum(n) AS n
                 FROM (SELECT dimension, key, n FROM campaign_counters WHERE campaign_id = c.id
                       UNION ALL
                       SELECT dimension, key, n FROM campaign_counter_deltas WHERE campaign_id = c.id) AS every
                 WHERE dimension = 'price' OR dimension = 'funnel' AND key = 'delivered'
                 GROUP BY dimension, key HAVING sum(n) <> 0) AS summed), '{}')
FROM marketing_campaigns AS c WHERE c.id = %(campaign)s
