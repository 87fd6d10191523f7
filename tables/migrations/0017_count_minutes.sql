-- The minutes of the last recipients that were handled, for the estimate of when a campaign will be done.

ALTER TABLE campaign_counter_deltas ADD COLUMN counted_at timestamptz NOT NULL DEFAULT now();

CREATE FUNCTION handled_in_delta(dimension text, key text, n bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE dimension || '/' || key
        WHEN 'funnel/total' THEN n
        WHEN 'status/pending' THEN -n
        WHEN 'status/queued' THEN -n
        WHEN 'skip/campaign_cancelled' THEN -n
        ELSE 0
    END
$$;

CREATE TABLE campaign_minutes (
    campaign_id uuid NOT NULL,
    slot        smallint NOT NULL CHECK (slot BETWEEN 0 AND 7),
    minute      timestamptz NOT NULL,
    handled     bigint NOT NULL,
    PRIMARY KEY (campaign_id, slot)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
COMMENT ON COLUMN campaign_minutes.slot IS 'The number of the minute modulo 8: a campaign never has more than eight rows';
