-- A claim reads the identity of the installation once, and not for each of its jobs.

CREATE OR REPLACE FUNCTION claim_refusal(in_recipient uuid, in_attempt smallint, in_send_before timestamptz)
RETURNS TABLE (refusal text) LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN NOT (SELECT installation_is_known()) THEN 'paused'  -- a subquery runs once for a statement
        WHEN r.id IS NULL OR r.attempt <> in_attempt OR r.status <> 'queued' OR r.next_attempt_at IS NOT NULL THEN 'stale'
        WHEN clock_timestamp() >= in_send_before THEN 'expired'
        WHEN c.status = 'cancelled' THEN 'campaign_cancelled'
        WHEN c.status <> 'active' THEN 'paused'
        WHEN EXISTS (SELECT FROM webhook_progress WHERE applied_through < clock_timestamp() - interval '60 seconds')
            THEN 'paused'
        WHEN is_unsubscribed(r.person) THEN 'opted_out'
        WHEN twin.refusal IS NOT NULL THEN twin.refusal
        WHEN c.frequency_capped AND EXISTS (SELECT FROM frequency_cap) AND is_capped(r.person, r.id)
            THEN 'frequency_capped'
        WHEN EXISTS (SELECT FROM breakers WHERE opened_at IS NOT NULL) AND EXISTS (
            SELECT FROM breaker_scopes(c.phone_number_id, r.person, c.template_name, c.language_code) AS s
            JOIN breakers AS b ON b.scope = s.scope AND b.key = s.key
            WHERE b.opened_at IS NOT NULL
              AND (b.probe_recipient, b.probe_attempt) IS DISTINCT FROM (in_recipient, in_attempt))
            THEN 'breaker_open'
    END
    FROM (VALUES (true)) AS always
    LEFT JOIN campaign_recipients AS r ON r.id = in_recipient
    LEFT JOIN marketing_campaigns AS c ON c.id = r.campaign_id
    LEFT JOIN LATERAL twin_refusal(r.campaign_id, r.id, r.person) AS twin (refusal) ON true
$$;
