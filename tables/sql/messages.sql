-- Statements of messages: the wamids of every attempt, and the statuses parked for wamids that are not known yet.

-- name: merge_messages
-- Merge what a batch learned per wamid, and return the rows that changed. The input is sorted by wamid, so rows are
-- locked in that order.
INSERT INTO messages AS m (
    wamid, recipient_id, attempt, phone_number_id, accepted_at, sent_at, delivered_at, read_at, replied_at, failed_at,
    failure_code, failure_text, failure_class, failure_backoff_s, held_back, price, pricing_at, pricing_type,
    pricing_category)
SELECT * FROM unnest(
    %(wamid)s::text[], %(recipient_id)s::uuid[], %(attempt)s::smallint[], %(phone_number_id)s::text[],
    %(accepted_at)s::timestamptz[], %(sent_at)s::timestamptz[], %(delivered_at)s::timestamptz[],
    %(read_at)s::timestamptz[], %(replied_at)s::timestamptz[], %(failed_at)s::timestamptz[],
    %(failure_code)s::integer[], %(failure_text)s::text[], %(failure_class)s::text[],
    %(failure_backoff_s)s::integer[], %(held_back)s::boolean[], %(price)s::text[], %(pricing_at)s::timestamptz[],
    %(pricing_type)s::text[], %(pricing_category)s::text[])
ON CONFLICT (wamid) DO UPDATE SET
    recipient_id = coalesce(m.recipient_id, excluded.recipient_id),
    attempt = CASE WHEN m.recipient_id IS NULL THEN excluded.attempt ELSE m.attempt END,
    phone_number_id = coalesce(m.phone_number_id, excluded.phone_number_id),
    accepted_at = least(m.accepted_at, excluded.accepted_at),
    sent_at = least(m.sent_at, excluded.sent_at),
    delivered_at = least(m.delivered_at, excluded.delivered_at),
    read_at = least(m.read_at, excluded.read_at),
    replied_at = least(m.replied_at, excluded.replied_at),
    failed_at = CASE WHEN message_fails(excluded, m) THEN excluded.failed_at ELSE m.failed_at END,
    failure_code = CASE WHEN message_fails(excluded, m) THEN excluded.failure_code ELSE m.failure_code END,
    failure_text = CASE WHEN message_fails(excluded, m) THEN excluded.failure_text ELSE m.failure_text END,
    failure_class = CASE WHEN message_fails(excluded, m) THEN excluded.failure_class ELSE m.failure_class END,
    failure_backoff_s = CASE WHEN message_fails(excluded, m) THEN excluded.failure_backoff_s
        ELSE m.failure_backoff_s END,
    held_back = m.held_back OR excluded.held_back,
    price = greatest(m.price, excluded.price),
    pricing_at = CASE WHEN message_is_priced(excluded, m) THEN excluded.pricing_at ELSE m.pricing_at END,
    pricing_type = CASE WHEN message_is_priced(excluded, m) THEN excluded.pricing_type ELSE m.pricing_type END,
    pricing_category = CASE WHEN message_is_priced(excluded, m) THEN excluded.pricing_category
        ELSE m.pricing_category END
WHERE m.recipient_id IS NULL AND excluded.recipient_id IS NOT NULL
    OR m.phone_number_id IS NULL AND excluded.phone_number_id IS NOT NULL
    OR excluded.accepted_at < coalesce(m.accepted_at, 'infinity')
    OR excluded.sent_at < coalesce(m.sent_at, 'infinity')
    OR excluded.delivered_at < coalesce(m.delivered_at, 'infinity')
    OR excluded.read_at < coalesce(m.read_at, 'infinity')
    OR excluded.replied_at < coalesce(m.replied_at, 'infinity')
    OR excluded.held_back AND NOT m.held_back
    OR excluded.price > coalesce(m.price, '')
    OR message_fails(excluded, m)
    OR message_is_priced(excluded, m)
RETURNING m.wamid, m.recipient_id, m.attempt, m.accepted_at, m.sent_at, m.delivered_at, m.read_at, m.replied_at,
    m.failed_at, m.failure_code, m.failure_text, m.failure_class, m.failure_backoff_s, m.held_back, m.price

-- name: merge_usual
-- The same for usual events: each wamid has its recipient, and no status is parked. A wamid of which everything is known
-- is not written, and not locked. Returns the attempts of the rows that changed, and whether one has parked statuses.
WITH changed AS (
    INSERT INTO messages AS m (
        wamid, recipient_id, attempt, phone_number_id, pricing_at, pricing_type, pricing_category)
    SELECT u.*
    FROM unnest(
        %(wamid)s::text[], %(recipient_id)s::uuid[], %(attempt)s::smallint[], %(phone_number_id)s::text[],
        %(pricing_at)s::timestamptz[], %(pricing_type)s::text[], %(pricing_category)s::text[]
    ) AS u (wamid, recipient_id, attempt, phone_number_id, pricing_at, pricing_type, pricing_category)
    WHERE NOT EXISTS (
        SELECT FROM messages AS known
        WHERE known.wamid = u.wamid COLLATE "C" AND known.recipient_id IS NOT NULL
          AND (known.phone_number_id IS NOT NULL OR u.phone_number_id IS NULL)
          AND (u.pricing_at IS NULL OR coalesce(
              (known.pricing_at, known.pricing_type COLLATE "C", known.pricing_category COLLATE "C")
              <= (u.pricing_at, u.pricing_type COLLATE "C", u.pricing_category COLLATE "C"), false)))
    ON CONFLICT (wamid) DO UPDATE SET
        recipient_id = coalesce(m.recipient_id, excluded.recipient_id),
        attempt = CASE WHEN m.recipient_id IS NULL THEN excluded.attempt ELSE m.attempt END,
        phone_number_id = coalesce(m.phone_number_id, excluded.phone_number_id),
        pricing_at = CASE WHEN message_is_priced(excluded, m) THEN excluded.pricing_at ELSE m.pricing_at END,
        pricing_type = CASE WHEN message_is_priced(excluded, m) THEN excluded.pricing_type ELSE m.pricing_type END,
        pricing_category = CASE WHEN message_is_priced(excluded, m) THEN excluded.pricing_category
            ELSE m.pricing_category END
    WHERE m.recipient_id IS NULL
        OR m.phone_number_id IS NULL AND excluded.phone_number_id IS NOT NULL
        OR message_is_priced(excluded, m)
    RETURNING m.recipient_id, m.attempt,
        coalesce(m.accepted_at, m.sent_at, m.delivered_at, m.read_at, m.replied_at, m.failed_at) IS NOT NULL AS is_parked
)
SELECT array_agg(recipient_id), array_agg(attempt), coalesce(bool_or(is_parked), false) FROM changed

-- name: address_known
-- Address parked statuses whose message retention has deleted: the key of its wamid has kept the recipient. Run it after
-- the merge, whose lock on the row lets it see a deletion that ended in between.
UPDATE messages AS m SET recipient_id = old.recipient_id, attempt = old.attempt
FROM old_messages AS old
WHERE m.wamid = ANY(%(wamids)s::text[]) AND m.recipient_id IS NULL AND old.wamid_key = wamid_key(m.wamid)
RETURNING m.wamid, m.recipient_id, m.attempt, m.accepted_at, m.sent_at, m.delivered_at, m.read_at, m.replied_at,
    m.failed_at, m.failure_code, m.failure_text, m.failure_class, m.failure_backoff_s, m.held_back, m.price

-- name: find_double_sends
-- Record the wamids of these attempts that have more than one, and return the new ones. Run it after the merge of the
-- recipients: two sinks that learn the two wamids at the same time meet at the recipient's row, and the later sees both.
WITH doubled AS MATERIALIZED (
    SELECT learned.recipient_id, learned.attempt, has_two, old.wamid_key
    FROM unnest(%(recipient_id)s::uuid[], %(attempt)s::smallint[]) AS learned (recipient_id, attempt)
    CROSS JOIN LATERAL (SELECT EXISTS (
        SELECT FROM messages AS m WHERE m.recipient_id = learned.recipient_id AND m.attempt = learned.attempt OFFSET 1
    ) AS has_two) AS counted
    LEFT JOIN LATERAL (  -- OFFSET keeps it one probe of the index for each attempt
        SELECT o.wamid_key FROM old_messages AS o
        WHERE o.recipient_id = learned.recipient_id AND o.attempt = learned.attempt OFFSET 0
    ) AS old ON true
    WHERE has_two OR old.wamid_key IS NOT NULL
)
INSERT INTO double_sends (recipient_id, attempt, wamid)
SELECT DISTINCT m.recipient_id, m.attempt, m.wamid
FROM doubled JOIN messages AS m ON m.recipient_id = doubled.recipient_id AND m.attempt = doubled.attempt
WHERE has_two OR doubled.wamid_key <> wamid_key(m.wamid)
ON CONFLICT DO NOTHING
RETURNING recipient_id, attempt, wamid
