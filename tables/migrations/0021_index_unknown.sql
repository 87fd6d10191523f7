-- The metrics count the unknown sends of all campaigns every few seconds. The index has one entry for each campaign that
-- ever had one. It does not contain n, so a change of a counter stays a HOT update.

CREATE INDEX campaign_counters_unknown ON campaign_counters (campaign_id)
    WHERE dimension = 'status' AND key = 'unknown';
