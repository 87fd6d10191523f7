-- The pair limit is of a human: a message under a linked key counts too.

-- Whether a human has another message of a number on its way, or got one a moment ago, under any key (domain/pairs.py).
CREATE FUNCTION is_pair_busy(
    in_person text, in_number text, pair_s double precision, remembered_s double precision
) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
    keys text[] := ARRAY[in_person];
BEGIN
    -- Most people have no link. For them a search by index is a fraction of the walk over the links.
    IF EXISTS (SELECT FROM person_links AS l WHERE l.person = in_person) THEN
        keys := ARRAY(SELECT keys_of(in_person));
    END IF;
    RETURN EXISTS (
        SELECT FROM person_attempts AS a
        JOIN campaign_recipients AS o ON o.id = a.recipient_id
        JOIN marketing_campaigns AS oc ON oc.id = o.campaign_id AND oc.phone_number_id = in_number
        LEFT JOIN send_ledger AS l ON l.recipient_id = a.recipient_id AND l.attempt = a.attempt
        LEFT JOIN releases AS rel ON rel.recipient_id = a.recipient_id AND rel.attempt = a.attempt
        WHERE a.person = ANY (keys) AND a.released_at > clock_timestamp() - remembered_s * interval '1 second'
          AND CASE
              WHEN l.recipient_id IS NULL THEN rel.recipient_id IS NOT NULL
              WHEN l.outcome IS NULL THEN true
              WHEN l.outcome IN ('deferred', 'expired', 'skipped') THEN false
              ELSE l.outcome_at > clock_timestamp() - pair_s * interval '1 second' END);
END $$;
