-- Which of two facts of one kind is shown: the tuple comparisons of domain/facts.py. Each answers whether the new one (n) ranks
-- above the known one (k). "Earlier first" is why the two times stand crosswise. Inlined by the planner: one expression each.

CREATE FUNCTION recipient_accepts(
    n_attempt smallint, n_at timestamptz, n_wamid text, k_attempt smallint, k_at timestamptz, k_wamid text
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT n_attempt IS NOT NULL AND (k_attempt IS NULL
        OR (n_attempt, n_wamid IS NOT NULL, k_at, coalesce(n_wamid, '') COLLATE "C")
         > (k_attempt, k_wamid IS NOT NULL, n_at, coalesce(k_wamid, '') COLLATE "C"))
$$;

CREATE FUNCTION recipient_fails(
    n_attempt smallint, n_at timestamptz, n_code integer, n_text text, n_class text, n_backoff_s integer,
    k_attempt smallint, k_at timestamptz, k_code integer, k_text text, k_class text, k_backoff_s integer
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT n_attempt IS NOT NULL AND (k_attempt IS NULL
        OR (n_attempt, n_code IS NOT NULL, k_at, coalesce(n_code, -1), n_text COLLATE "C", n_class COLLATE "C", n_backoff_s)
         > (k_attempt, k_code IS NOT NULL, n_at, coalesce(k_code, -1), k_text COLLATE "C", k_class COLLATE "C", k_backoff_s))
$$;

CREATE FUNCTION recipient_waits(
    n_attempt smallint, n_until timestamptz, k_attempt smallint, k_until timestamptz
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT n_attempt IS NOT NULL AND (k_attempt IS NULL OR (n_attempt, n_until) > (k_attempt, k_until))
$$;

CREATE FUNCTION recipient_skips(
    n_attempt smallint, n_reason text, k_attempt smallint, k_reason text
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT n_attempt IS NOT NULL AND (k_attempt IS NULL
        OR (n_attempt, n_reason COLLATE "C") > (k_attempt, k_reason COLLATE "C"))
$$;

-- The same for what is parked in messages.
CREATE FUNCTION message_fails(n messages, k messages) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT n.failed_at IS NOT NULL AND (k.failed_at IS NULL
        OR (n.failure_code IS NOT NULL, k.failed_at, coalesce(n.failure_code, -1),
            n.failure_text COLLATE "C", n.failure_class COLLATE "C", n.failure_backoff_s)
         > (k.failure_code IS NOT NULL, n.failed_at, coalesce(k.failure_code, -1),
            k.failure_text COLLATE "C", k.failure_class COLLATE "C", k.failure_backoff_s))
$$;

-- The first known price of a message is kept: the earliest, ties by type and category.
CREATE FUNCTION message_is_priced(n messages, k messages) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT n.pricing_at IS NOT NULL AND (k.pricing_at IS NULL
        OR (n.pricing_at, n.pricing_type COLLATE "C", n.pricing_category COLLATE "C")
         < (k.pricing_at, k.pricing_type COLLATE "C", k.pricing_category COLLATE "C"))
$$;
