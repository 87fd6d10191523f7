-- A campaign may name the endpoint of the Cloud API that it uses.

ALTER TABLE marketing_campaigns ADD COLUMN endpoint text CHECK (endpoint IN ('messages', 'marketing_messages'));
COMMENT ON COLUMN marketing_campaigns.endpoint IS 'Where its messages are posted; NULL: as CAMPAIGNS_WHATSAPP_ENDPOINT says';
