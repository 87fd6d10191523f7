-- Budget of a day that another session has locked is given back later. The settlement that gives it back does not wait.

CREATE TABLE budget_returns (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign_id uuid NOT NULL,
    day         date NOT NULL,
    n           integer NOT NULL CHECK (n > 0)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE budget_returns IS 'Attempts that used the budget of a day and were not posted; the scheduler subtracts them';

CREATE OR REPLACE FUNCTION give_budget_back(campaigns uuid[], days date[]) RETURNS void LANGUAGE sql VOLATILE AS $$
    WITH returned AS (
        SELECT u.campaign_id, u.day, count(*) AS n
        FROM unnest(campaigns, days) AS u (campaign_id, day) GROUP BY 1, 2
    ), locked AS MATERIALIZED (
        SELECT d.campaign_id, d.day, returned.n
        FROM campaign_days AS d JOIN returned USING (campaign_id, day)
        ORDER BY 1, 2 FOR NO KEY UPDATE OF d SKIP LOCKED
    ), changed AS (
        UPDATE campaign_days AS d SET used = greatest(0, d.used - locked.n)
        FROM locked WHERE d.campaign_id = locked.campaign_id AND d.day = locked.day
    )
    INSERT INTO budget_returns (campaign_id, day, n)
    SELECT campaign_id, day, n FROM returned
    WHERE (campaign_id, day) IN (SELECT campaign_id, day FROM campaign_days)
      AND (campaign_id, day) NOT IN (SELECT campaign_id, day FROM locked)
    ORDER BY 1, 2
$$;
