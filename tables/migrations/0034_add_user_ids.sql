-- A recipient may be known by a user id of WhatsApp instead of a phone number, or by both. The table is rewritten once. No
-- trigger fires, and no counter changes.

ALTER TABLE campaign_recipients
    DROP COLUMN person,
    ALTER COLUMN phone_number DROP NOT NULL,
    ADD COLUMN user_id text CHECK (user_id ~ '^[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}$');
ALTER TABLE campaign_recipients
    ADD COLUMN person text NOT NULL GENERATED ALWAYS AS (coalesce(person_of(phone_number), 'user:' || user_id)) STORED;
ALTER TABLE campaign_recipients ADD UNIQUE (campaign_id, person, repetition);
CREATE UNIQUE INDEX campaign_recipients_user ON campaign_recipients (campaign_id, user_id) WHERE user_id IS NOT NULL;
COMMENT ON COLUMN campaign_recipients.user_id IS
    'The business-scoped user id of WhatsApp. Without a phone number the message is sent to it';

CREATE FUNCTION link_recipients() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO person_links AS l (person, linked_to, same_account)
    SELECT person, 'user:' || user_id, true FROM new_rows WHERE phone_number IS NOT NULL AND user_id IS NOT NULL
    UNION
    SELECT 'user:' || user_id, person, true FROM new_rows WHERE phone_number IS NOT NULL AND user_id IS NOT NULL
    ORDER BY 1, 2
    ON CONFLICT (person, linked_to) DO UPDATE SET same_account = true WHERE NOT l.same_account;
    RETURN NULL;
END $$;
CREATE TRIGGER campaign_recipients_link AFTER INSERT ON campaign_recipients
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION link_recipients();
