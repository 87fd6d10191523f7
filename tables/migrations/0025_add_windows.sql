-- Sending windows, start times, and the limit after which a late campaign waits for a person. Campaigns that exist keep
-- the whole day and no such limit, so that an upgrade stops none of them.

ALTER TABLE marketing_campaigns
    ADD COLUMN window_days text[] NOT NULL DEFAULT '{mon,tue,wed,thu,fri,sat,sun}',
    ADD COLUMN window_from text NOT NULL DEFAULT '00:00',
    ADD COLUMN window_to text NOT NULL DEFAULT '24:00',
    ADD COLUMN window_zone text NOT NULL DEFAULT 'campaign' CHECK (window_zone IN ('campaign', 'recipient')),
    ADD COLUMN quiet_from text,
    ADD COLUMN quiet_to text,
    ADD COLUMN start_at timestamptz,
    ADD COLUMN stale_after_hours integer CHECK (stale_after_hours BETWEEN 1 AND 8760),
    ADD CONSTRAINT marketing_campaigns_window CHECK (
        cardinality(window_days) > 0 AND window_days <@ '{mon,tue,wed,thu,fri,sat,sun}'::text[]
        AND window_from ~ '^([01][0-9]|2[0-3]):[0-5][0-9]$' AND window_to ~ '^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$'
        AND window_from COLLATE "C" < window_to COLLATE "C"
        AND quiet_from ~ '^([01][0-9]|2[0-3]):[0-5][0-9]$' AND quiet_to ~ '^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$'
        AND (quiet_from IS NULL) = (quiet_to IS NULL) AND quiet_from <> quiet_to);
ALTER TABLE marketing_campaigns ALTER COLUMN stale_after_hours SET DEFAULT 24;
COMMENT ON COLUMN marketing_campaigns.window_zone IS
    'Whose clock the window follows: that of time_zone, or those of the country of the recipient''s number';
COMMENT ON COLUMN marketing_campaigns.start_at IS 'Nothing is sent before; NULL: sending starts with the activation';
COMMENT ON COLUMN marketing_campaigns.stale_after_hours IS
    'The campaign is paused if nothing could be sent for so long although recipients waited; NULL: never';

-- The country whose clocks decide for a recipient. Only the plan of a campaign that follows its recipients sets it.
ALTER TABLE campaign_recipients ADD COLUMN window_country text COLLATE "C";
COMMENT ON COLUMN campaign_recipients.window_country IS
    'The country whose clocks the window follows; empty: those of the campaign; NULL: the campaign follows its own';
CREATE INDEX campaign_recipients_window_fresh ON campaign_recipients (campaign_id, window_country, next_attempt_at, id)
    WHERE next_attempt_at IS NOT NULL AND attempt = 0 AND window_country IS NOT NULL;
CREATE INDEX campaign_recipients_window_tried ON campaign_recipients (campaign_id, window_country, next_attempt_at, id)
    WHERE next_attempt_at IS NOT NULL AND attempt > 0 AND window_country IS NOT NULL;

-- The countries of the planned recipients of a campaign that follows them. A release judges the clocks of these only.
CREATE TABLE campaign_countries (
    campaign_id uuid NOT NULL REFERENCES marketing_campaigns (id) ON DELETE CASCADE,
    country     text COLLATE "C" NOT NULL,
    PRIMARY KEY (campaign_id, country)
);

-- A recipient that is inserted with a planned time is not planned, so it follows the clock of the campaign.
CREATE FUNCTION follow_campaign_clock() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT window_zone FROM marketing_campaigns WHERE id = NEW.campaign_id) = 'recipient' THEN
        NEW.window_country := '';
        INSERT INTO campaign_countries VALUES (NEW.campaign_id, '') ON CONFLICT DO NOTHING;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER campaign_recipients_clock BEFORE INSERT ON campaign_recipients FOR EACH ROW
    WHEN (NEW.scheduled_send_date IS NOT NULL AND NEW.window_country IS NULL) EXECUTE FUNCTION follow_campaign_clock();

-- When the sending of a campaign was last in order: something was released, or nothing was due. The scheduler writes it
-- every minute, so after an outage it shows how long nothing could be sent.
CREATE TABLE campaign_watch (
    campaign_id uuid PRIMARY KEY REFERENCES marketing_campaigns (id) ON DELETE CASCADE,
    in_order_at timestamptz NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

COMMENT ON COLUMN marketing_campaigns.started_at IS 'When it last became active: by an operator, or because it was reopened';
