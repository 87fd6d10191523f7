-- Statements that remove one recipient.

-- name: find_by_id
-- The person of a recipient, and which of the rows of that person it is.
SELECT person, repetition FROM campaign_recipients WHERE id = %(id)s AND campaign_id = %(campaign)s

-- name: find_by_person
-- The first row of a person in a campaign.
SELECT person, repetition FROM campaign_recipients WHERE campaign_id = %(campaign)s AND person = %(person)s
ORDER BY repetition LIMIT 1

-- name: lock_person
-- Lock a row of a person and those that repeat it, and read their state. A release that has locked one ends first.
SELECT id, repetition, attempt, scheduled_send_date, now() FROM campaign_recipients
WHERE campaign_id = %(campaign)s AND person = %(person)s AND repetition >= %(repetition)s
ORDER BY id FOR UPDATE

-- name: delete_locked
-- Delete locked recipients.
DELETE FROM campaign_recipients WHERE id = ANY (%(ids)s::uuid[])
