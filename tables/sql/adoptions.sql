-- Statements that take over the rows of another table into a campaign. Those that name the other table are composed in
-- tables/adoptions.py.

-- name: find_columns
-- The columns of a table, and their types. No rows: there is no such table.
SELECT attname, format_type(atttypid, NULL) FROM pg_attribute
WHERE attrelid = to_regclass(%(table)s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum

-- name: begin_adoption
-- Begin an adoption, or find the one that has begun.
INSERT INTO adoptions AS a (campaign_id, source) VALUES (%(campaign)s, %(source)s)
ON CONFLICT (campaign_id) DO UPDATE SET source = a.source
RETURNING source, done_through, adopted, refused, ended_at

-- name: make_older
-- Make a campaign as old as the first thing that happened in it: events from before it are refused.
UPDATE marketing_campaigns SET created_at = %(at)s WHERE id = %(campaign)s AND created_at > %(at)s

-- name: add_rows
-- Add recipients without facts. A number, a person or an id that exists already is left as it is.
INSERT INTO campaign_recipients (id, campaign_id, phone_number, template_parameters, max_retries, created_at)
SELECT u.id, %(campaign)s, u.phone_number, u.template_parameters::jsonb, u.max_retries, u.created_at
FROM unnest(%(ids)s::uuid[], %(phone_numbers)s::text[], %(template_parameters)s::text[], %(max_retries)s::smallint[],
            %(created_at)s::timestamptz[]) AS u (id, phone_number, template_parameters, max_retries, created_at)
ORDER BY u.id
ON CONFLICT DO NOTHING

-- name: note_sends
-- Note the messages that another system sent lately, so that they count towards the frequency cap.
INSERT INTO person_attempts (person, released_at, recipient_id, attempt)
SELECT r.person, u.sent_at, r.id, %(attempt)s
FROM unnest(%(ids)s::uuid[], %(sent_at)s::timestamptz[]) AS u (id, sent_at)
JOIN campaign_recipients AS r ON r.id = u.id AND r.campaign_id = %(campaign)s
WHERE u.sent_at > statement_timestamp() - %(days)s * interval '24 hours'
ON CONFLICT DO NOTHING

-- name: find_own
-- Those of these ids that the campaign has.
SELECT id FROM campaign_recipients WHERE id = ANY (%(ids)s::uuid[]) AND campaign_id = %(campaign)s

-- name: advance_adoption
-- Note that all rows up to a key are in the campaign, and their events in Kafka.
UPDATE adoptions SET done_through = %(key)s, adopted = adopted + %(adopted)s, refused = refused + %(refused)s
WHERE campaign_id = %(campaign)s

-- name: end_adoption
-- Note that the whole table is taken over.
UPDATE adoptions SET ended_at = coalesce(ended_at, clock_timestamp()) WHERE campaign_id = %(campaign)s
