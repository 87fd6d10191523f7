-- Statements that plan when recipients are sent to.

-- name: request_plan
-- Record that a campaign has recipients without a planned time. Run it after they were added, in the same transaction.
UPDATE marketing_campaigns SET planning = true WHERE id = %(campaign)s AND NOT planning

-- name: request_new_plan
-- Record that the recipients that are not released need a new plan, because the limit has changed.
UPDATE marketing_campaigns SET planning = true, replanning = true WHERE id = %(campaign)s

-- name: find_planning
-- Campaigns with recipients without a planned time.
SELECT id FROM marketing_campaigns WHERE planning AND status NOT IN ('draft', 'cancelled') ORDER BY id LIMIT %(limit)s

-- name: try_plan_lock
-- Become the only planner of this campaign until the end of the transaction. No operator's act needs this lock. Until then
-- rows are found by their ids and in their order: a hash join would read every recipient without a time again for each
-- chunk, and a bitmap all recipients for each page.
SELECT pg_try_advisory_xact_lock(hashtextextended('plan ' || %(campaign)s::uuid::text, 0)),
       set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
       set_config('enable_bitmapscan', 'off', true)

-- name: read_limit
-- What the plan of a campaign depends on, the time, and whether its old plan still holds.
SELECT daily_send_limit, time_zone, now(), start_at, replanning, window_days, window_zone FROM marketing_campaigns
WHERE id = %(campaign)s AND planning AND status NOT IN ('draft', 'cancelled')

-- name: lock_unplanned
-- Lock pending recipients without a planned time, in the order in which they were added.
SELECT id, coalesce(phone_number, user_id) FROM campaign_recipients
WHERE campaign_id = %(campaign)s AND id > %(after)s AND attempt = 0 AND scheduled_send_date IS NULL
ORDER BY id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED

-- name: count_today
-- What today has taken of the limit: the used attempts, and the recipients that are due. It counts up to the limit.
SELECT coalesce((SELECT used FROM campaign_days WHERE campaign_id = %(campaign)s AND day = %(today)s), 0)
     + (SELECT count(*) FROM (
            SELECT FROM campaign_recipients
            WHERE campaign_id = %(campaign)s AND attempt = 0 AND next_attempt_at < %(ends_at)s
            ORDER BY next_attempt_at, id LIMIT %(limit)s) AS due)

-- name: read_days
-- How many recipients are planned for each later day.
SELECT day, planned FROM campaign_days WHERE campaign_id = %(campaign)s AND day > %(today)s AND planned > 0

-- name: plan_recipients
-- Store the planned times of recipients that lock_unplanned has locked, and the countries whose clocks their windows
-- follow. It does not name the condition of the index of unplanned recipients, which Postgres would read to its end.
UPDATE campaign_recipients AS r SET
    scheduled_send_date = u.at, window_country = u.country, updated_at = clock_timestamp()
FROM unnest(%(ids)s::uuid[], %(times)s::timestamptz[], %(countries)s::text[]) AS u (id, at, country)
WHERE r.id = u.id

-- name: add_countries
-- Note the countries of planned recipients.
INSERT INTO campaign_countries (campaign_id, country)
SELECT %(campaign)s, u.country FROM unnest(%(countries)s::text[]) AS u (country) ORDER BY u.country
ON CONFLICT DO NOTHING

-- name: add_to_days
-- Count recipients for later days. Releases lock only the row of today.
INSERT INTO campaign_days AS d (campaign_id, day, planned)
SELECT %(campaign)s, u.day, u.n FROM unnest(%(days)s::date[], %(counts)s::integer[]) AS u (day, n) ORDER BY u.day
ON CONFLICT (campaign_id, day) DO UPDATE SET planned = d.planned + excluded.planned

-- name: lock_old_plan
-- Lock planned recipients that are not released, the latest first, and return when they are planned. The earliest ones can
-- thus be released until the new plan begins.
SELECT id, next_attempt_at FROM campaign_recipients
WHERE campaign_id = %(campaign)s AND attempt = 0 AND next_attempt_at IS NOT NULL
  AND (next_attempt_at, id) < (%(before_at)s, %(before_id)s)
ORDER BY next_attempt_at DESC, id DESC LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED

-- name: unplan_recipients
-- Take locked recipients out of the plan.
UPDATE campaign_recipients SET scheduled_send_date = NULL, updated_at = clock_timestamp()
WHERE id = ANY (%(ids)s::uuid[]) AND attempt = 0

-- name: take_from_days
-- Count recipients out of later days.
WITH locked AS MATERIALIZED (
    SELECT d.day, u.n FROM campaign_days AS d
    JOIN unnest(%(days)s::date[], %(counts)s::integer[]) AS u (day, n) ON u.day = d.day
    WHERE d.campaign_id = %(campaign)s
    ORDER BY d.day FOR NO KEY UPDATE OF d
)
UPDATE campaign_days AS d SET planned = greatest(0, d.planned - locked.n)
FROM locked WHERE d.campaign_id = %(campaign)s AND d.day = locked.day

-- name: end_old_plan
-- Record that the old plan is gone, so that the new one may begin.
UPDATE marketing_campaigns SET replanning = false WHERE id = %(campaign)s AND replanning

-- name: check_page
-- Whether somebody of a page of recipients lacks a planned time, and the last recipient of the page; NULL: it is the last
-- page. The index of recipients without a time keeps an entry for each that has got one since, until a scan has met it.
WITH page AS MATERIALIZED (
    SELECT id FROM campaign_recipients WHERE campaign_id = %(campaign)s AND id > %(after)s
    ORDER BY id OFFSET %(rows)s LIMIT 1
)
SELECT EXISTS (
    SELECT FROM campaign_recipients
    WHERE campaign_id = %(campaign)s AND id > %(after)s AND id <= coalesce((SELECT id FROM page), %(top)s)
      AND attempt = 0 AND scheduled_send_date IS NULL
), (SELECT id FROM page)

-- name: lock_planned
-- Lock a campaign before `end_plan`, so that recipients that are being added now are visible to it.
SELECT FROM marketing_campaigns WHERE id = %(campaign)s FOR NO KEY UPDATE

-- name: end_plan
-- Record that no recipient of a campaign lacks a planned time, if that is so.
UPDATE marketing_campaigns SET planning = false
WHERE id = %(campaign)s AND planning AND NOT replanning AND NOT EXISTS (
    SELECT FROM campaign_recipients
    WHERE campaign_id = %(campaign)s AND attempt = 0 AND scheduled_send_date IS NULL)
