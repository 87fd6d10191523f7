-- An edited template is compared with the parameters of the campaigns that send with it.

ALTER TABLE marketing_campaigns
    ADD COLUMN template_edited_at timestamptz,
    ADD COLUMN template_fit text CHECK (template_fit IN ('fits', 'misfits', 'unreadable'));
COMMENT ON COLUMN marketing_campaigns.template_edited_at IS
    'When Meta last reported that the template was edited while the campaign was active';
COMMENT ON COLUMN marketing_campaigns.template_fit IS
    'Whether the parameters fit the edited template; NULL: not compared (domain/template_edits.py)';
CREATE INDEX marketing_campaigns_edited ON marketing_campaigns (template_edited_at, id)
    WHERE template_edited_at IS NOT NULL AND template_fit IS NULL AND status = 'active';
