-- The canary of a campaign and the limits of its figures. A campaign that is active already has no canary.

ALTER TABLE marketing_campaigns
    ADD COLUMN canary boolean NOT NULL DEFAULT true,
    ADD COLUMN canary_percent double precision NOT NULL DEFAULT 1 CHECK (canary_percent BETWEEN 0.01 AND 100),
    ADD COLUMN canary_min integer NOT NULL DEFAULT 50 CHECK (canary_min BETWEEN 1 AND 1000000),
    ADD COLUMN canary_max integer NOT NULL DEFAULT 500 CHECK (canary_max BETWEEN 1 AND 1000000),
    ADD COLUMN canary_wait_minutes integer NOT NULL DEFAULT 10 CHECK (canary_wait_minutes BETWEEN 1 AND 1440),
    ADD COLUMN failure_limit_percent double precision NOT NULL DEFAULT 15 CHECK (failure_limit_percent BETWEEN 0 AND 100),
    ADD COLUMN opt_out_limit_percent double precision NOT NULL DEFAULT 2 CHECK (opt_out_limit_percent BETWEEN 0 AND 100),
    ADD COLUMN block_limit_percent double precision NOT NULL DEFAULT 15 CHECK (block_limit_percent BETWEEN 0 AND 100),
    ADD COLUMN unknown_limit_percent double precision NOT NULL DEFAULT 5 CHECK (unknown_limit_percent BETWEEN 0 AND 100);
COMMENT ON COLUMN marketing_campaigns.canary IS
    'Whether it sends to its first people and waits for their outcomes (domain/canary.py)';
COMMENT ON COLUMN marketing_campaigns.failure_limit_percent IS
    'The campaign is paused when surely a larger share of its people failed; 100: never. The other limits likewise';

-- The canary of an activated campaign, and the windows in which its figures are measured afterwards. Figures are those of
-- domain/shares.py. `allowed` is the number of people that may get their first attempt: a release obeys it.
CREATE TABLE campaign_canaries (
    campaign_id uuid PRIMARY KEY REFERENCES marketing_campaigns (id) ON DELETE CASCADE,
    step        smallint NOT NULL DEFAULT 0 CHECK (step >= 0),
    allowed     bigint CHECK (allowed > 0),
    released    bigint NOT NULL DEFAULT 0 CHECK (released >= 0),
    filled_at   timestamptz,
    base        jsonb NOT NULL,
    windows     jsonb,
    stopped_at  timestamptz
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
COMMENT ON COLUMN campaign_canaries.allowed IS 'NULL: the canary is over, or the campaign is too small for one';
COMMENT ON COLUMN campaign_canaries.filled_at IS 'Since when everybody of the step has the first attempt';
COMMENT ON COLUMN campaign_canaries.stopped_at IS 'When the figures paused the campaign; a resume begins a new canary';

-- People who opted out after a message of a campaign: the newest message they had, or the one that they answered. The
-- counter funnel/opted_out counts the rows.
CREATE TABLE campaign_opt_outs (
    campaign_id  uuid NOT NULL REFERENCES marketing_campaigns (id) ON DELETE CASCADE,
    recipient_id uuid NOT NULL,
    occurred_at  timestamptz NOT NULL,
    PRIMARY KEY (campaign_id, recipient_id)
);

-- The counters by which a campaign is judged, folded or not: its statuses, its failures by code, and its opt-outs. No
-- recipient is read.
CREATE FUNCTION counters_of_figures(in_campaign uuid) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_object_agg(dimension || '/' || key, n), '{}')
    FROM (SELECT dimension, key, sum(n) AS n
          FROM (SELECT dimension, key, n FROM campaign_counters WHERE campaign_id = in_campaign
                UNION ALL
                SELECT dimension, key, n FROM campaign_counter_deltas WHERE campaign_id = in_campaign) AS every
          WHERE dimension IN ('status', 'failure') OR dimension = 'funnel' AND key IN ('total', 'opted_out')
          GROUP BY dimension, key) AS summed
$$;
