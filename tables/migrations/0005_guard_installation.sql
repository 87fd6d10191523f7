-- Which server, and which history of it, this data belongs to. Data that was restored, or a standby that took over, may know
-- less than was done: who was sent to since then would be sent to again. So nothing is released or claimed until
-- `campaigns recover` has brought back what the topics know, and has written the new history here.

CREATE TABLE installation (
    is_only           boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    system_identifier bigint NOT NULL,
    timeline          text NOT NULL,
    epoch             integer NOT NULL DEFAULT 1,
    recovered_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Of the WAL that is written now: the control file tells a new timeline only after the next checkpoint.
CREATE FUNCTION current_timeline() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT substring(pg_walfile_name(pg_current_wal_lsn()) FOR 8)
$$;

CREATE FUNCTION installation_is_known() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM installation AS i
        WHERE i.system_identifier = (SELECT c.system_identifier FROM pg_control_system() AS c)
          AND i.timeline = current_timeline())
$$;

INSERT INTO installation (system_identifier, timeline)
SELECT system_identifier, current_timeline() FROM pg_control_system();

-- As before, but first of all: a history that is not ours refuses nothing for good.
CREATE OR REPLACE FUNCTION claim_refusal(in_recipient uuid, in_attempt smallint, in_send_before timestamptz)
RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT CASE
        WHEN NOT installation_is_known() THEN 'paused'
        WHEN r.id IS NULL OR r.attempt <> in_attempt OR r.status <> 'queued' OR r.next_attempt_at IS NOT NULL THEN 'stale'
        WHEN clock_timestamp() >= in_send_before THEN 'expired'
        WHEN c.status = 'cancelled' THEN 'campaign_cancelled'
        WHEN c.status <> 'active' THEN 'paused'
        WHEN EXISTS (SELECT FROM subscriptions AS s WHERE s.person = r.phone_number AND NOT s.subscribed)
            THEN 'opted_out'
    END
    FROM (VALUES (true)) AS always
    LEFT JOIN campaign_recipients AS r ON r.id = in_recipient
    LEFT JOIN marketing_campaigns AS c ON c.id = r.campaign_id
$$;
