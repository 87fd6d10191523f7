-- Statements of the facts in campaign_recipients. The merge repeats the rules of domain/facts.py; a test compares both.
-- It reads the known facts only from the UPDATE's target row: after a lock wait Postgres reads that row again, but not a
-- second copy of the row from a self join, which would lose the concurrent update. recipient_fails is repeated for each
-- of its columns, because the FROM list of an UPDATE cannot refer to the target row. The planner inlines it.

-- name: merge_recipients
-- Merge one row of facts per recipient. The input is sorted by id, so rows are locked in that order. Only rows that
-- change are written. An array may be empty: then no recipient has that fact.
UPDATE campaign_recipients AS r SET
    attempt = greatest(r.attempt, f.attempt),
    sent_at = least(r.sent_at, f.sent_at),
    delivered_at = least(r.delivered_at, f.delivered_at),
    read_at = least(r.read_at, f.read_at),
    replied_at = least(r.replied_at, f.replied_at),
    accepted_attempts = r.accepted_attempts | coalesce(f.accepted_attempts, 0),
    accepted_attempt = greatest(r.accepted_attempt, f.accepted_attempt),
    accepted_at = CASE WHEN recipient_accepts(
            f.accepted_attempt, f.accepted_at, f.whatsapp_message_id,
            r.accepted_attempt, r.accepted_at, r.whatsapp_message_id)
        THEN f.accepted_at ELSE r.accepted_at END,
    whatsapp_message_id = CASE WHEN recipient_accepts(
            f.accepted_attempt, f.accepted_at, f.whatsapp_message_id,
            r.accepted_attempt, r.accepted_at, r.whatsapp_message_id)
        THEN f.whatsapp_message_id ELSE r.whatsapp_message_id END,
    failed_attempts = r.failed_attempts | coalesce(f.failed_attempts, 0),
    held_back_attempts = r.held_back_attempts | coalesce(f.held_back_attempts, 0),
    failed_attempt = greatest(r.failed_attempt, f.failed_attempt),
    failed_at = CASE WHEN recipient_fails(
            f.failed_attempt, f.failed_at, f.failure_code, f.failure_text, f.failure_class, f.failure_backoff_s,
            r.failed_attempt, r.failed_at, r.failure_code, r.failure_text, r.failure_class, r.failure_backoff_s)
        THEN f.failed_at ELSE r.failed_at END,
    failure_code = CASE WHEN recipient_fails(
            f.failed_attempt, f.failed_at, f.failure_code, f.failure_text, f.failure_class, f.failure_backoff_s,
            r.failed_attempt, r.failed_at, r.failure_code, r.failure_text, r.failure_class, r.failure_backoff_s)
        THEN f.failure_code ELSE r.failure_code END,
    failure_text = CASE WHEN recipient_fails(
            f.failed_attempt, f.failed_at, f.failure_code, f.failure_text, f.failure_class, f.failure_backoff_s,
            r.failed_attempt, r.failed_at, r.failure_code, r.failure_text, r.failure_class, r.failure_backoff_s)
        THEN f.failure_text ELSE r.failure_text END,
    failure_class = CASE WHEN recipient_fails(
            f.failed_attempt, f.failed_at, f.failure_code, f.failure_text, f.failure_class, f.failure_backoff_s,
            r.failed_attempt, r.failed_at, r.failure_code, r.failure_text, r.failure_class, r.failure_backoff_s)
        THEN f.failure_class ELSE r.failure_class END,
    failure_backoff_s = CASE WHEN recipient_fails(
            f.failed_attempt, f.failed_at, f.failure_code, f.failure_text, f.failure_class, f.failure_backoff_s,
            r.failed_attempt, r.failed_at, r.failure_code, r.failure_text, r.failure_class, r.failure_backoff_s)
        THEN f.failure_backoff_s ELSE r.failure_backoff_s END,
    deferred_attempt = greatest(r.deferred_attempt, f.deferred_attempt),
    deferred_until = CASE WHEN recipient_waits(f.deferred_attempt, f.deferred_until, r.deferred_attempt, r.deferred_until)
        THEN f.deferred_until ELSE r.deferred_until END,
    expired_attempt = greatest(r.expired_attempt, f.expired_attempt),
    expired_until = CASE WHEN recipient_waits(f.expired_attempt, f.expired_until, r.expired_attempt, r.expired_until)
        THEN f.expired_until ELSE r.expired_until END,
    unknown_attempt = greatest(r.unknown_attempt, f.unknown_attempt),
    skipped_attempt = greatest(r.skipped_attempt, f.skipped_attempt),
    skip_reason = CASE WHEN recipient_skips(f.skipped_attempt, f.skip_reason, r.skipped_attempt, r.skip_reason)
        THEN f.skip_reason ELSE r.skip_reason END,
    retry_attempt = greatest(r.retry_attempt, f.retry_attempt),
    held_for_quality = r.held_for_quality OR coalesce(f.held_for_quality, false),
    price = greatest(r.price, f.price),
    updated_at = clock_timestamp()
FROM unnest(
    %(id)s::uuid[], %(attempt)s::smallint[], %(sent_at)s::timestamptz[], %(delivered_at)s::timestamptz[],
    %(read_at)s::timestamptz[], %(replied_at)s::timestamptz[], %(accepted_attempts)s::bigint[],
    %(accepted_attempt)s::smallint[], %(accepted_at)s::timestamptz[], %(whatsapp_message_id)s::text[],
    %(failed_attempts)s::bigint[], %(held_back_attempts)s::bigint[], %(failed_attempt)s::smallint[],
    %(failed_at)s::timestamptz[], %(failure_code)s::integer[], %(failure_text)s::text[], %(failure_class)s::text[],
    %(failure_backoff_s)s::integer[], %(deferred_attempt)s::smallint[], %(deferred_until)s::timestamptz[],
    %(expired_attempt)s::smallint[], %(expired_until)s::timestamptz[], %(unknown_attempt)s::smallint[],
    %(skipped_attempt)s::smallint[], %(skip_reason)s::text[], %(retry_attempt)s::smallint[],
    %(held_for_quality)s::boolean[], %(price)s::text[]
) AS f (
    id, attempt, sent_at, delivered_at, read_at, replied_at, accepted_attempts, accepted_attempt, accepted_at,
    whatsapp_message_id, failed_attempts, held_back_attempts, failed_attempt, failed_at, failure_code, failure_text,
    failure_class, failure_backoff_s, deferred_attempt, deferred_until, expired_attempt, expired_until,
    unknown_attempt, skipped_attempt, skip_reason, retry_attempt, held_for_quality, price
)
WHERE r.id = f.id AND (
    f.attempt > r.attempt
    OR f.sent_at < coalesce(r.sent_at, 'infinity')
    OR f.delivered_at < coalesce(r.delivered_at, 'infinity')
    OR f.read_at < coalesce(r.read_at, 'infinity')
    OR f.replied_at < coalesce(r.replied_at, 'infinity')
    OR f.accepted_attempts & ~r.accepted_attempts <> 0
    OR f.failed_attempts & ~r.failed_attempts <> 0
    OR f.held_back_attempts & ~r.held_back_attempts <> 0
    OR recipient_accepts(
        f.accepted_attempt, f.accepted_at, f.whatsapp_message_id,
        r.accepted_attempt, r.accepted_at, r.whatsapp_message_id)
    OR recipient_fails(
        f.failed_attempt, f.failed_at, f.failure_code, f.failure_text, f.failure_class, f.failure_backoff_s,
        r.failed_attempt, r.failed_at, r.failure_code, r.failure_text, r.failure_class, r.failure_backoff_s)
    OR recipient_waits(f.deferred_attempt, f.deferred_until, r.deferred_attempt, r.deferred_until)
    OR recipient_waits(f.expired_attempt, f.expired_until, r.expired_attempt, r.expired_until)
    OR f.unknown_attempt > coalesce(r.unknown_attempt, 0)
    OR recipient_skips(f.skipped_attempt, f.skip_reason, r.skipped_attempt, r.skip_reason)
    OR f.retry_attempt > coalesce(r.retry_attempt, 0)
    OR f.held_for_quality AND NOT r.held_for_quality
    OR f.price > coalesce(r.price, '')
)

-- name: merge_usual
-- The same for facts of usual events, which can change only these columns. That saves a third of the time. Each recipient
-- has all facts but delivered_at and read_at. Each event brings an acceptance, so the newest attempt is accepted. Where
-- accepted_at is NULL, or its array is empty, it is sent_at.
UPDATE campaign_recipients AS r SET
    attempt = greatest(r.attempt, f.attempt),
    sent_at = least(r.sent_at, f.sent_at),
    delivered_at = least(r.delivered_at, f.delivered_at),
    read_at = least(r.read_at, f.read_at),
    accepted_attempts = r.accepted_attempts | f.accepted_attempts,
    accepted_attempt = greatest(r.accepted_attempt, f.attempt),
    accepted_at = CASE WHEN recipient_accepts(
            f.attempt, coalesce(f.accepted_at, f.sent_at), f.whatsapp_message_id,
            r.accepted_attempt, r.accepted_at, r.whatsapp_message_id)
        THEN coalesce(f.accepted_at, f.sent_at) ELSE r.accepted_at END,
    whatsapp_message_id = CASE WHEN recipient_accepts(
            f.attempt, coalesce(f.accepted_at, f.sent_at), f.whatsapp_message_id,
            r.accepted_attempt, r.accepted_at, r.whatsapp_message_id)
        THEN f.whatsapp_message_id ELSE r.whatsapp_message_id END,
    held_for_quality = r.held_for_quality OR f.held_for_quality,
    price = greatest(r.price, f.price),
    updated_at = clock_timestamp()
FROM unnest(
    %(id)s::uuid[], %(attempt)s::smallint[], %(sent_at)s::timestamptz[], %(delivered_at)s::timestamptz[],
    %(read_at)s::timestamptz[], %(accepted_attempts)s::bigint[],
    %(accepted_at)s::timestamptz[], %(whatsapp_message_id)s::text[], %(held_for_quality)s::boolean[],
    %(price)s::text[]
) AS f (
    id, attempt, sent_at, delivered_at, read_at, accepted_attempts, accepted_at, whatsapp_message_id,
    held_for_quality, price
)
WHERE r.id = f.id AND (
    f.attempt > r.attempt
    OR f.sent_at < coalesce(r.sent_at, 'infinity')
    OR f.delivered_at < coalesce(r.delivered_at, 'infinity')
    OR f.read_at < coalesce(r.read_at, 'infinity')
    OR f.accepted_attempts & ~r.accepted_attempts <> 0
    OR recipient_accepts(
        f.attempt, coalesce(f.accepted_at, f.sent_at), f.whatsapp_message_id,
        r.accepted_attempt, r.accepted_at, r.whatsapp_message_id)
    OR f.held_for_quality AND NOT r.held_for_quality
    OR f.price > coalesce(r.price, '')
)

-- name: find_refused
-- The lines whose recipient has no row, or whose earliest time is too long before the creation of its campaign.
SELECT f.line::integer
FROM unnest(%(id)s::uuid[], %(earliest_at)s::timestamptz[]) WITH ORDINALITY AS f (id, earliest_at, line)
LEFT JOIN campaign_recipients AS r ON r.id = f.id
LEFT JOIN marketing_campaigns AS c ON c.id = r.campaign_id
WHERE (f.earliest_at >= c.created_at - %(before_max)s::interval) IS NOT TRUE

-- name: find_recipients
-- Those of these recipients that have a row, and the creation of their campaign.
SELECT r.id, c.created_at
FROM unnest(%(ids)s::uuid[]) AS wanted (id)
JOIN campaign_recipients AS r ON r.id = wanted.id
JOIN marketing_campaigns AS c ON c.id = r.campaign_id

-- name: read_facts
-- The facts of these recipients, in the order of their ids.
SELECT id, attempt, sent_at, delivered_at, read_at, replied_at, accepted_attempts, accepted_attempt, accepted_at,
       whatsapp_message_id, failed_attempts, held_back_attempts, failed_attempt, failed_at, failure_code, failure_text,
       failure_class, failure_backoff_s, deferred_attempt, deferred_until, expired_attempt, expired_until,
       unknown_attempt, skipped_attempt, skip_reason, retry_attempt, held_for_quality,
       price
FROM campaign_recipients WHERE id = ANY(%(ids)s::uuid[]) ORDER BY id
