-- Statements of canaries, and of the figures by which campaigns are judged. The rules are in domain/canary.py, domain/rolling.py
-- and domain/shares.py.

-- name: read_new
-- What a canary begins with: the settings of a campaign, its counters, and the present step, if it has one.
SELECT c.canary_percent, c.canary_min, c.canary_max, counters_of_figures(c.id), k.step, k.stopped_at IS NOT NULL
FROM marketing_campaigns AS c LEFT JOIN campaign_canaries AS k ON k.campaign_id = c.id
WHERE c.id = %(campaign)s

-- name: begin
-- Begin a canary, or its first step again.
INSERT INTO campaign_canaries (campaign_id, step, allowed, base)
VALUES (%(campaign)s, %(step)s, %(allowed)s, %(base)s::jsonb)
ON CONFLICT (campaign_id) DO UPDATE SET
    step = excluded.step, allowed = excluded.allowed, released = 0, filled_at = NULL, base = excluded.base,
    windows = NULL, stopped_at = NULL

-- name: lock_room
-- How many people may get their first attempt now. The row stays locked until the end of the transaction, so that releasers
-- do not exceed it together. No row: the canary does not limit the campaign.
SELECT greatest(0, k.allowed - k.released) FROM campaign_canaries AS k
JOIN marketing_campaigns AS c ON c.id = k.campaign_id
WHERE k.campaign_id = %(campaign)s AND k.allowed IS NOT NULL AND c.canary FOR NO KEY UPDATE OF k

-- name: list_limiting
-- Those of these campaigns that their canary limits now: the step, and how far it is released.
SELECT k.campaign_id, k.step, k.allowed, k.released FROM campaign_canaries AS k
JOIN marketing_campaigns AS c ON c.id = k.campaign_id
WHERE k.campaign_id = ANY (%(ids)s::uuid[]) AND k.allowed IS NOT NULL AND c.canary AND c.status = 'active'

-- name: charge
-- Count people who got their first attempt in the present step.
UPDATE campaign_canaries SET released = released + %(released)s WHERE campaign_id = %(campaign)s AND allowed IS NOT NULL

-- name: read_active
-- The active campaigns with the state of their canary, their limits and their figures. `all`: also those without a canary.
SELECT c.id, c.started_at, now(), (SELECT applied_through FROM webhook_progress), c.canary_wait_minutes,
       c.failure_limit_percent, c.opt_out_limit_percent, c.block_limit_percent, c.unknown_limit_percent,
       counters_of_figures(c.id), c.canary AND k.allowed IS NOT NULL, coalesce(k.step, 0), k.allowed, coalesce(k.released, 0), k.filled_at, k.base, k.windows
FROM marketing_campaigns AS c LEFT JOIN campaign_canaries AS k ON k.campaign_id = c.id
WHERE c.status = 'active' AND (%(all)s OR c.canary AND k.allowed IS NOT NULL)
ORDER BY c.id

-- name: write_steps
-- Write the steps that changed, of campaigns that were not started again meanwhile.
UPDATE campaign_canaries AS k SET step = u.step, allowed = u.allowed, filled_at = u.filled_at
FROM unnest(%(ids)s::uuid[], %(starts)s::timestamptz[], %(steps)s::smallint[], %(allowed)s::bigint[],
            %(filled)s::timestamptz[]) AS u (id, started_at, step, allowed, filled_at)
JOIN marketing_campaigns AS c ON c.id = u.id
WHERE k.campaign_id = u.id AND c.status = 'active' AND c.started_at IS NOT DISTINCT FROM u.started_at

-- name: write_windows
-- Write the windows that changed. A campaign that was active before there were canaries gets its row here, as
-- one whose canary is over.
INSERT INTO campaign_canaries AS k (campaign_id, step, base, windows)
SELECT u.id, 1, u.base::jsonb, u.windows::jsonb
FROM unnest(%(ids)s::uuid[], %(starts)s::timestamptz[], %(bases)s::text[], %(windows)s::text[])
    AS u (id, started_at, base, windows)
JOIN marketing_campaigns AS c ON c.id = u.id
WHERE c.status = 'active' AND c.started_at IS NOT DISTINCT FROM u.started_at
ORDER BY u.id
ON CONFLICT (campaign_id) DO UPDATE SET windows = excluded.windows

-- name: stop
-- Pause a campaign because of its figures, unless it was started again meanwhile, and note the pause for `campaign.control`.
WITH stopped AS (
    UPDATE marketing_campaigns SET status = 'paused', pause_reason = %(reason)s
    WHERE id = (SELECT id FROM marketing_campaigns
                WHERE id = %(campaign)s AND status = 'active' AND started_at IS NOT DISTINCT FROM %(started_at)s
                FOR NO KEY UPDATE SKIP LOCKED)
    RETURNING id
), marked AS (
    INSERT INTO campaign_canaries (campaign_id, base, stopped_at) SELECT id, '{}', clock_timestamp() FROM stopped
    ON CONFLICT (campaign_id) DO UPDATE SET stopped_at = excluded.stopped_at
)
INSERT INTO breaker_changes (change, scope, key, campaign_id, reason, needs_human)
SELECT 'campaign_paused', 'campaign', %(code)s, id, %(reason)s, true FROM stopped
RETURNING campaign_id
