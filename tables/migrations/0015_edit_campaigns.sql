-- A campaign whose daily limit changed gets a new plan; until the old one is gone, `replanning` is set.

ALTER TABLE marketing_campaigns ADD COLUMN replanning boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN marketing_campaigns.replanning IS
    'The daily limit changed: recipients that are not released leave the old plan before the new one begins';
