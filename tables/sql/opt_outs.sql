-- Statements of the opt-outs of people, and of the messages that they follow. The rule is in domain/opt_outs.py.

-- name: note
-- Note opt-outs. One that is read again is attributed again, because a replay may have brought other facts.
INSERT INTO opt_outs (person, occurred_at, wamid)
SELECT DISTINCT * FROM unnest(%(persons)s::text[], %(times)s::timestamptz[], %(wamids)s::text[]) ORDER BY 1, 2, 3
ON CONFLICT (person, occurred_at, wamid) DO UPDATE SET rounds = 0, attribute_at = clock_timestamp()

-- name: attribute_due
-- Attribute the opt-outs that are due to the messages that they follow, and return how many were due. Campaigns that ended
-- four days before an opt-out have no message of the three days before it. A trigger moves the counters.
WITH due AS MATERIALIZED (
    SELECT person, occurred_at, wamid, recipient_id, rounds FROM opt_outs
    WHERE attribute_at <= clock_timestamp() ORDER BY attribute_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), named AS (
    SELECT d.person, d.occurred_at, d.wamid, found.recipient_id
    FROM due AS d CROSS JOIN LATERAL (
        SELECT m.recipient_id FROM messages AS m WHERE m.wamid = d.wamid AND m.recipient_id IS NOT NULL
        UNION ALL
        SELECT old.recipient_id FROM old_messages AS old WHERE old.wamid_key = wamid_key(d.wamid)
        LIMIT 1) AS found
    WHERE d.wamid <> ''
), recent AS MATERIALIZED (
    SELECT id, status, updated_at FROM marketing_campaigns
    WHERE status IN ('active', 'paused') OR updated_at >= (SELECT min(occurred_at) FROM due) - interval '4 days'
), newest AS (
    SELECT d.person, d.occurred_at, d.wamid, found.id AS recipient_id
    FROM due AS d
    CROSS JOIN LATERAL (SELECT ARRAY(SELECT keys_of(d.person)) AS keys) AS human
    CROSS JOIN LATERAL (
        SELECT r.id
        FROM recent AS c
        JOIN campaign_recipients AS r ON r.campaign_id = c.id AND r.person = ANY (human.keys)
        WHERE (c.status IN ('active', 'paused') OR c.updated_at >= d.occurred_at - interval '4 days')
          AND r.accepted_at BETWEEN d.occurred_at - %(follows_s)s * interval '1 s'
                                AND d.occurred_at + %(clocks_differ_s)s * interval '1 s'
        ORDER BY r.accepted_at DESC, r.id DESC LIMIT 1) AS found
    WHERE d.wamid = ''
), followed AS MATERIALIZED (
    SELECT d.person, d.occurred_at, d.wamid, d.rounds, d.recipient_id AS former_id, f.recipient_id
    FROM due AS d
    LEFT JOIN (SELECT * FROM named UNION ALL SELECT * FROM newest) AS f USING (person, occurred_at, wamid)
), marked AS (
    UPDATE opt_outs AS o SET
        recipient_id = f.recipient_id, rounds = f.rounds + 1,
        attribute_at = clock_timestamp() + (%(pauses_s)s::float8[])[f.rounds + 1] * interval '1 s'
    FROM followed AS f WHERE (o.person, o.occurred_at, o.wamid) = (f.person, f.occurred_at, f.wamid)
), moved AS (
    INSERT INTO campaign_opt_outs AS c (campaign_id, recipient_id, opt_outs)
    SELECT r.campaign_id, r.id, sum(change.n)
    FROM (SELECT recipient_id, 1 AS n FROM followed WHERE recipient_id IS DISTINCT FROM former_id
          UNION ALL SELECT former_id, -1 FROM followed WHERE recipient_id IS DISTINCT FROM former_id) AS change
    JOIN campaign_recipients AS r ON r.id = change.recipient_id
    GROUP BY r.campaign_id, r.id HAVING sum(change.n) <> 0 ORDER BY r.campaign_id, r.id
    ON CONFLICT (campaign_id, recipient_id) DO UPDATE SET opt_outs = c.opt_outs + excluded.opt_outs
)
SELECT count(*)::integer FROM due
