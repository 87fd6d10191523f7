-- Statements that delete drafts and clone campaigns.

-- name: lock_draft
-- Lock a campaign against every other transaction, also one that adds recipients. It waits for those that add some now.
SELECT status, EXISTS (SELECT FROM adoptions WHERE campaign_id = marketing_campaigns.id)
FROM marketing_campaigns WHERE id = %(id)s FOR UPDATE

-- name: delete_recipients
-- Delete a chunk of the recipients of a campaign. Returns how many it has, and the last one.
WITH chunk AS MATERIALIZED (
    SELECT id FROM campaign_recipients WHERE campaign_id = %(campaign)s AND id > %(after)s ORDER BY id LIMIT %(limit)s
), deleted AS (
    DELETE FROM campaign_recipients WHERE id = ANY (ARRAY(SELECT id FROM chunk))  -- a join would read the whole table
)
SELECT (SELECT count(*) FROM chunk), (SELECT id FROM chunk ORDER BY id DESC LIMIT 1)

-- name: delete_deltas
-- Delete the deltas of a campaign. It waits for a fold of them, so that `delete_counters` sees what was folded.
DELETE FROM campaign_counter_deltas WHERE campaign_id = %(campaign)s

-- name: delete_counters
-- Delete the counters of a campaign, after its deltas. The stats publisher deletes its snapshot from the topic.
WITH counters AS (DELETE FROM campaign_counters WHERE campaign_id = %(campaign)s),
     minutes AS (DELETE FROM campaign_minutes WHERE campaign_id = %(campaign)s),
     snapshot AS (DELETE FROM campaign_stats WHERE campaign_id = %(campaign)s),
     noted AS (INSERT INTO deleted_snapshots (campaign_id) VALUES (%(campaign)s) ON CONFLICT DO NOTHING)
DELETE FROM campaign_days WHERE campaign_id = %(campaign)s

-- name: delete_campaign
-- Delete a campaign to which no other row refers any more.
DELETE FROM marketing_campaigns WHERE id = %(campaign)s

-- name: clone_recipients
-- Copy a chunk of recipients into another campaign, in their order. One that repeats a person is left out. Returns how
-- many the chunk has, and the last one.
WITH chunk AS MATERIALIZED (
    SELECT id, phone_number, user_id, template_parameters, max_retries, repetition FROM campaign_recipients
    WHERE campaign_id = %(campaign)s AND id > %(after)s ORDER BY id LIMIT %(limit)s
), copied AS (
    INSERT INTO campaign_recipients (campaign_id, phone_number, user_id, template_parameters, max_retries)
    SELECT %(clone)s, phone_number, user_id, template_parameters, max_retries FROM chunk WHERE repetition = 0 ORDER BY id
)
SELECT (SELECT count(*) FROM chunk), (SELECT id FROM chunk ORDER BY id DESC LIMIT 1)
