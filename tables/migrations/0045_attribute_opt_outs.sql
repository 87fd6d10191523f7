-- Which message an opt-out follows no longer depends on what was known when it came. Each opt-out is a fact, and it is
-- attributed again when messages and links may have become known. Those that are counted already stay counted.

-- The opt-outs of people, as webhooks stated them, each with the recipient whose message it follows (domain/opt_outs.py).
CREATE TABLE opt_outs (
    person       text NOT NULL,
    occurred_at  timestamptz NOT NULL,
    wamid        text NOT NULL DEFAULT '',
    recipient_id uuid,
    rounds       smallint NOT NULL DEFAULT 0,
    attribute_at timestamptz DEFAULT clock_timestamp(),
    PRIMARY KEY (person, occurred_at, wamid)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX opt_outs_due ON opt_outs (attribute_at) WHERE attribute_at IS NOT NULL;
COMMENT ON COLUMN opt_outs.wamid IS 'The message that the opt-out answers; empty: it names none';
COMMENT ON COLUMN opt_outs.attribute_at IS 'When it is attributed again; NULL: its message is final';

ALTER TABLE campaign_opt_outs DROP COLUMN occurred_at, ADD COLUMN opt_outs integer NOT NULL DEFAULT 1;
COMMENT ON COLUMN campaign_opt_outs.opt_outs IS 'The opt-outs that follow messages of the recipient; 0: none any more';

-- The counter funnel/opted_out counts the recipients with an opt-out, for every writer.
CREATE FUNCTION count_opted_out() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO campaign_counter_deltas (campaign_id, dimension, key, n)
        SELECT campaign_id, 'funnel', 'opted_out', -count(*) FROM old_rows WHERE opt_outs > 0 GROUP BY campaign_id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO campaign_counter_deltas (campaign_id, dimension, key, n)
        SELECT campaign_id, 'funnel', 'opted_out', count(*) FROM new_rows WHERE opt_outs > 0 GROUP BY campaign_id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER campaign_opt_outs_count_insert AFTER INSERT ON campaign_opt_outs
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_opted_out();
CREATE TRIGGER campaign_opt_outs_count_update AFTER UPDATE ON campaign_opt_outs
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION count_opted_out();
CREATE TRIGGER campaign_opt_outs_count_delete AFTER DELETE ON campaign_opt_outs
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION count_opted_out();
CREATE TRIGGER campaign_opt_outs_no_truncate BEFORE TRUNCATE ON campaign_opt_outs
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate();
