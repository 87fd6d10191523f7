-- Senders that ended by a bug after a claim and before any answer. Two of a host open the breaker of the endpoint: each
-- further run would spend the messages that it claims.
CREATE TABLE sender_failures (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    host      text NOT NULL,
    failed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
