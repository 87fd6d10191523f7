-- `campaigns status` shows the rate of sending, and warns of accepted messages after which no webhook came.

CREATE INDEX send_ledger_accepted ON send_ledger (outcome_at) WHERE outcome = 'accepted';
