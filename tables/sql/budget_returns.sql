-- Statements of the budget that is given back later, because another session had locked its day.

-- name: apply_returns
-- Subtract the next returns after a place from their days, and forget them. Days that are still locked keep theirs. A day
-- that retention has deleted needs none. Returns the last place of the page, and the size of the page.
WITH page AS MATERIALIZED (
    SELECT id, campaign_id, day, n FROM budget_returns WHERE id > %(after)s ORDER BY id LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), locked AS MATERIALIZED (
    SELECT d.campaign_id, d.day FROM campaign_days AS d
    JOIN (SELECT DISTINCT campaign_id, day FROM page) AS wanted USING (campaign_id, day)
    ORDER BY 1, 2 FOR NO KEY UPDATE OF d SKIP LOCKED
), changed AS (
    UPDATE campaign_days AS d SET used = greatest(0, d.used - s.n)
    FROM (SELECT campaign_id, day, sum(n)::integer AS n FROM page JOIN locked USING (campaign_id, day) GROUP BY 1, 2) AS s
    WHERE d.campaign_id = s.campaign_id AND d.day = s.day
), forgotten AS (
    DELETE FROM budget_returns AS b USING page AS p
    WHERE b.id = p.id AND (
        EXISTS (SELECT FROM locked AS l WHERE l.campaign_id = p.campaign_id AND l.day = p.day)
        OR NOT EXISTS (SELECT FROM campaign_days AS d WHERE d.campaign_id = p.campaign_id AND d.day = p.day))
)
SELECT max(id), count(*)::integer FROM page
