
-- What `subscription.events` is to be told: a row for each statement that took hold, written in its transaction.
CREATE TABLE subscription_outbox (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    person       text NOT NULL,
    source       text NOT NULL,
    subscribed   boolean NOT NULL,
    occurred_at  timestamptz NOT NULL,
    published_at timestamptz
);
CREATE INDEX subscription_outbox_unpublished ON subscription_outbox (id) WHERE published_at IS NULL;
-- What was said before there was an outbox is told as well.
INSERT INTO subscription_outbox (person, source, subscribed, occurred_at)
SELECT person, source, subscribed, occurred_at FROM subscriptions ORDER BY occurred_at;
