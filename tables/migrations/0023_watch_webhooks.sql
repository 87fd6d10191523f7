-- Up to which moment all acknowledged webhooks are applied. While it is more than 60 s ago, senders claim nothing. Without
-- a row they claim: no scheduler has watched the webhooks yet.

CREATE TABLE webhook_progress (
    is_only         boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    applied_through timestamptz NOT NULL
);
