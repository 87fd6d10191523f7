-- Old rows can be deleted by retention. Deleted messages leave a key, and the numbers of deleted rows are recorded.

-- A fixed-size key of a wamid.
CREATE FUNCTION wamid_key(wamid text) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN encode(substring(sha256(convert_to(wamid, 'UTF8')) FROM 1 FOR 16), 'hex')::uuid;

CREATE TABLE old_messages (
    wamid_key    uuid PRIMARY KEY,
    recipient_id uuid NOT NULL,
    attempt      smallint NOT NULL CHECK (attempt BETWEEN 1 AND 62)
);
CREATE INDEX old_messages_recipient ON old_messages (recipient_id, attempt);

CREATE TABLE pruned_rows (
    table_name text PRIMARY KEY,
    n          bigint NOT NULL,
    newest_at  timestamptz NOT NULL,
    pruned_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON COLUMN pruned_rows.newest_at IS 'The time of the youngest row that was deleted';
