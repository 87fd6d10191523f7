-- A campaign leaves out the recipients of other campaigns.

ALTER TABLE marketing_campaigns
    ADD COLUMN exclude_campaigns uuid[] NOT NULL DEFAULT '{}' CHECK (cardinality(exclude_campaigns) <= 20),
    ADD COLUMN exclude_recipients text NOT NULL DEFAULT 'sent'
        CHECK (exclude_recipients IN ('all', 'sent', 'delivered', 'read'));
COMMENT ON COLUMN marketing_campaigns.exclude_campaigns IS
    'Campaigns whose recipients are left out; one that was deleted has none';
COMMENT ON COLUMN marketing_campaigns.exclude_recipients IS 'Which of their recipients (domain/exclusions.py)';

-- Whether a human is left out, under any key, because of the other campaigns (domain/exclusions.py).
CREATE FUNCTION is_excluded(in_person text, campaigns uuid[], recipients text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM keys_of(in_person) AS k (person) CROSS JOIN unnest(campaigns) AS other (id)
        JOIN campaign_recipients AS r ON r.campaign_id = other.id AND r.person = k.person
        WHERE CASE recipients
            WHEN 'all' THEN true
            WHEN 'sent' THEN r.status IN ('sent', 'delivered', 'read', 'unknown')
            WHEN 'delivered' THEN r.status IN ('delivered', 'read')
            ELSE r.status = 'read' END)
$$;

CREATE OR REPLACE FUNCTION skip_counter_key(skip_reason text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN skip_reason IN ('opted_out', 'campaign_cancelled', 'same_person', 'template_parameters_invalid',
                             'frequency_capped', 'excluded')
            THEN skip_reason
        ELSE 'unknown'
    END
$$;
