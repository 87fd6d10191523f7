-- A release finds the recent messages of its human by their keys, and never by the recipients of a campaign.

CREATE OR REPLACE FUNCTION is_pair_busy(
    in_person text, in_number text, pair_s double precision, remembered_s double precision
) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
    keys text[] := ARRAY[in_person];
BEGIN
    -- Most people have no link. For them a search by index is a fraction of the walk over the links.
    IF EXISTS (SELECT FROM person_links AS l WHERE l.person = in_person) THEN
        keys := ARRAY(SELECT keys_of(in_person));
    END IF;
    -- Most people got nothing a moment ago. For them one search is a fraction of the query.
    IF NOT EXISTS (SELECT FROM person_attempts AS a
                   WHERE a.person = ANY (keys)
                     AND a.released_at > clock_timestamp() - remembered_s * interval '1 second') THEN
        RETURN false;
    END IF;
    -- LIMIT and OFFSET lead Postgres from the few attempts of the human to their rows. With plain joins, a plan of stale
    -- statistics read all recipients of the number's campaigns: a millisecond for each release, and more in larger ones.
    RETURN EXISTS (
        SELECT FROM person_attempts AS a
        LEFT JOIN LATERAL (
            SELECT true AS is_known, found.outcome, found.outcome_at FROM send_ledger AS found
            WHERE found.recipient_id = a.recipient_id AND found.attempt = a.attempt LIMIT 1) AS l ON true
        WHERE a.person = ANY (keys) AND a.released_at > clock_timestamp() - remembered_s * interval '1 second'
          AND EXISTS (
              SELECT FROM campaign_recipients AS o JOIN marketing_campaigns AS oc ON oc.id = o.campaign_id
              WHERE o.id = a.recipient_id AND oc.phone_number_id = in_number OFFSET 0)
          AND CASE
              WHEN l.is_known IS NULL THEN EXISTS (
                  SELECT FROM releases AS rel
                  WHERE rel.recipient_id = a.recipient_id AND rel.attempt = a.attempt OFFSET 0)
              WHEN l.outcome IS NULL THEN true
              WHEN l.outcome IN ('deferred', 'expired', 'skipped') THEN false
              ELSE l.outcome_at > clock_timestamp() - pair_s * interval '1 second' END);
END $$;
