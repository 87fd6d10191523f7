-- When an operator last started a campaign. What Meta reports about older attempts must not pause the campaign again.

ALTER TABLE marketing_campaigns ADD COLUMN started_at timestamptz;
COMMENT ON COLUMN marketing_campaigns.started_at IS 'When an operator last activated or resumed it';
