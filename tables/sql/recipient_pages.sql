-- Statements that list campaign_recipients. A filter by status examines a limited number of rows: a status that few
-- recipients have, or none, must not make one request read the whole campaign.

-- name: list_recipients
-- Read a page of a campaign's recipients in the order of their ids. The columns of the original table come first.
SELECT id, campaign_id, phone_number, status, whatsapp_message_id, scheduled_send_date, sent_at, delivered_at, read_at,
       failed_at, failure_reason, retry_count, max_retries, template_parameters, created_at, updated_at,
       attempt, failure_code, next_attempt_at, person, user_id
FROM campaign_recipients
WHERE campaign_id = %(campaign)s AND id > %(after)s
ORDER BY id LIMIT %(limit)s

-- name: list_person
-- Read the rows of one human in a campaign, under any of their keys, as list_recipients does. The unique index finds them.
SELECT id, campaign_id, phone_number, status, whatsapp_message_id, scheduled_send_date, sent_at, delivered_at, read_at,
       failed_at, failure_reason, retry_count, max_retries, template_parameters, created_at, updated_at,
       attempt, failure_code, next_attempt_at, person, user_id
FROM campaign_recipients
WHERE campaign_id = %(campaign)s AND person = ANY (ARRAY(SELECT keys_of(%(person)s))) AND id > %(after)s
  AND (%(statuses)s::text[] IS NULL OR status = ANY (%(statuses)s::text[]))
ORDER BY id LIMIT %(limit)s

-- name: read_recipients
-- Read these recipients in the order of their ids.
SELECT id, campaign_id, phone_number, status, whatsapp_message_id, scheduled_send_date, sent_at, delivered_at, read_at,
       failed_at, failure_reason, retry_count, max_retries, template_parameters, created_at, updated_at,
       attempt, failure_code, next_attempt_at, person, user_id
FROM campaign_recipients
WHERE id = ANY (%(ids)s::uuid[]) ORDER BY id

-- name: choose_any
-- Of the next recipients: the ids of those with one of these statuses, and where they were too few the last recipient
-- that was examined, unless the list ends before. A page that is full examines no further.
WITH chosen AS MATERIALIZED (
    SELECT id FROM (
        SELECT id, status FROM campaign_recipients
        WHERE campaign_id = %(campaign)s AND id > %(after)s ORDER BY id LIMIT %(window)s
    ) AS examined
    WHERE status = ANY (%(statuses)s::text[]) ORDER BY id LIMIT %(limit)s
)
SELECT ARRAY(SELECT id FROM chosen ORDER BY id), CASE WHEN (SELECT count(*) FROM chosen) < %(limit)s THEN (
    SELECT id FROM campaign_recipients
    WHERE campaign_id = %(campaign)s AND id > %(after)s ORDER BY id OFFSET %(window)s - 1 LIMIT 1) END

-- name: choose_failed
-- The same for `failed`, by the index of recipients with a failed attempt.
WITH chosen AS MATERIALIZED (
    SELECT id FROM (
        SELECT id, status FROM campaign_recipients
        WHERE campaign_id = %(campaign)s AND id > %(after)s AND failed_attempts <> 0 ORDER BY id LIMIT %(window)s
    ) AS examined
    WHERE status = ANY (%(statuses)s::text[]) ORDER BY id LIMIT %(limit)s
)
SELECT ARRAY(SELECT id FROM chosen ORDER BY id), CASE WHEN (SELECT count(*) FROM chosen) < %(limit)s THEN (
    SELECT id FROM campaign_recipients
    WHERE campaign_id = %(campaign)s AND id > %(after)s AND failed_attempts <> 0 ORDER BY id OFFSET %(window)s - 1 LIMIT 1) END

-- name: choose_skipped
-- The same for `skipped`, by the index of recipients with a skipped attempt.
WITH chosen AS MATERIALIZED (
    SELECT id FROM (
        SELECT id, status FROM campaign_recipients
        WHERE campaign_id = %(campaign)s AND id > %(after)s AND skipped_attempt IS NOT NULL ORDER BY id LIMIT %(window)s
    ) AS examined
    WHERE status = ANY (%(statuses)s::text[]) ORDER BY id LIMIT %(limit)s
)
SELECT ARRAY(SELECT id FROM chosen ORDER BY id), CASE WHEN (SELECT count(*) FROM chosen) < %(limit)s THEN (
    SELECT id FROM campaign_recipients
    WHERE campaign_id = %(campaign)s AND id > %(after)s AND skipped_attempt IS NOT NULL ORDER BY id OFFSET %(window)s - 1 LIMIT 1) END

-- name: choose_unknown
-- The same for `unknown`, by the index of recipients with an unknown attempt.
WITH chosen AS MATERIALIZED (
    SELECT id FROM (
        SELECT id, status FROM campaign_recipients
        WHERE campaign_id = %(campaign)s AND id > %(after)s AND unknown_attempt IS NOT NULL ORDER BY id LIMIT %(window)s
    ) AS examined
    WHERE status = ANY (%(statuses)s::text[]) ORDER BY id LIMIT %(limit)s
)
SELECT ARRAY(SELECT id FROM chosen ORDER BY id), CASE WHEN (SELECT count(*) FROM chosen) < %(limit)s THEN (
    SELECT id FROM campaign_recipients
    WHERE campaign_id = %(campaign)s AND id > %(after)s AND unknown_attempt IS NOT NULL ORDER BY id OFFSET %(window)s - 1 LIMIT 1) END

-- name: find_by_number
-- The first recipients of a campaign by a range of their numbers, in the spelling that is dialled and in that of their
-- key, and whether there may be more. The unique indexes of both answer it. Each examines recipients until enough have
-- one of the statuses, and at most so many as the window has.
WITH by_number AS MATERIALIZED (
    SELECT id FROM (
        SELECT id, status FROM campaign_recipients
        WHERE campaign_id = %(campaign)s AND phone_number >= %(start)s
          AND (%(end)s::text IS NULL OR phone_number < %(end)s::text)
        ORDER BY phone_number LIMIT %(window)s
    ) AS examined
    WHERE %(statuses)s::text[] IS NULL OR status = ANY (%(statuses)s::text[]) LIMIT %(limit)s
), by_key AS MATERIALIZED (
    SELECT id FROM (
        SELECT id, status FROM campaign_recipients
        WHERE campaign_id = %(campaign)s AND person >= %(start)s AND person < coalesce(%(end)s::text, 'user:')
        ORDER BY person LIMIT %(window)s
    ) AS examined
    WHERE %(statuses)s::text[] IS NULL OR status = ANY (%(statuses)s::text[]) LIMIT %(limit)s
)
SELECT ARRAY(SELECT id FROM by_number UNION SELECT id FROM by_key ORDER BY id LIMIT %(limit)s),
       CASE WHEN (SELECT count(*) FROM by_number) < %(limit)s THEN EXISTS (
           SELECT FROM campaign_recipients
           WHERE campaign_id = %(campaign)s AND phone_number >= %(start)s
             AND (%(end)s::text IS NULL OR phone_number < %(end)s::text)
           ORDER BY phone_number OFFSET %(window)s - 1 LIMIT 1) ELSE true END
    OR CASE WHEN (SELECT count(*) FROM by_key) < %(limit)s THEN EXISTS (
           SELECT FROM campaign_recipients
           WHERE campaign_id = %(campaign)s AND person >= %(start)s AND person < coalesce(%(end)s::text, 'user:')
           ORDER BY person OFFSET %(window)s - 1 LIMIT 1) ELSE true END

-- name: find_by_user
-- The same by a range of their user ids. The operators compare bytes, as the index does.
WITH by_user AS MATERIALIZED (
    SELECT id FROM (
        SELECT id, status FROM campaign_recipients
        WHERE campaign_id = %(campaign)s AND user_id ~>=~ %(start)s AND user_id ~<~ %(end)s
        ORDER BY user_id USING ~<~ LIMIT %(window)s
    ) AS examined
    WHERE %(statuses)s::text[] IS NULL OR status = ANY (%(statuses)s::text[]) LIMIT %(limit)s
)
SELECT ARRAY(SELECT id FROM by_user ORDER BY id),
       CASE WHEN (SELECT count(*) FROM by_user) < %(limit)s THEN EXISTS (
           SELECT FROM campaign_recipients
           WHERE campaign_id = %(campaign)s AND user_id ~>=~ %(start)s AND user_id ~<~ %(end)s
           ORDER BY user_id USING ~<~ OFFSET %(window)s - 1 LIMIT 1) ELSE true END
