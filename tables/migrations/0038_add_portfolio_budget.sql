-- The rolling budget of people of the portfolio, over all campaigns and numbers (domain/portfolio.py).

CREATE TABLE portfolio (
    is_only      boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    people_max   integer CHECK (people_max > 0),
    window_s     double precision NOT NULL DEFAULT 86400 CHECK (window_s > 0),
    reported_max integer,
    reported_at  timestamptz,
    CHECK ((reported_max IS NULL) = (reported_at IS NULL))
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
COMMENT ON COLUMN portfolio.people_max IS 'The budget that the scheduler obeys; NULL: none, and nothing is charged';
COMMENT ON COLUMN portfolio.reported_max IS 'What Meta reported by webhook; -1: unlimited';

-- The released attempts of the window. One that was not posted is deleted.
CREATE TABLE portfolio_charges (
    recipient_id uuid NOT NULL,
    attempt      smallint NOT NULL,
    person       text COLLATE "C" NOT NULL,
    bucket       timestamptz NOT NULL,
    PRIMARY KEY (recipient_id, attempt)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
CREATE INDEX portfolio_charges_person ON portfolio_charges (person, bucket);
CREATE INDEX portfolio_charges_bucket ON portfolio_charges (bucket);

-- How many people have their newest charge in each bucket. Whoever changes it has locked the row of `portfolio`.
CREATE TABLE portfolio_buckets (
    began_at timestamptz PRIMARY KEY,
    people   integer NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- Charged attempts that were certainly not posted. The scheduler deletes their charges. Nobody who adds one waits for a
-- lock, and an attempt that is here twice is given back once.
CREATE TABLE portfolio_returns (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recipient_id uuid NOT NULL,
    attempt      smallint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE FUNCTION give_portfolio_back(recipients uuid[], attempts smallint[]) RETURNS void LANGUAGE sql VOLATILE AS $$
    INSERT INTO portfolio_returns (recipient_id, attempt)
    SELECT c.recipient_id, c.attempt FROM unnest(recipients, attempts) AS u (id, n)
    JOIN portfolio_charges AS c ON c.recipient_id = u.id AND c.attempt = u.n
$$;

-- Every writer of the ledger gives back what it settles as not sent. The condition of the triggers costs an accepted message
-- no call.
CREATE FUNCTION return_unposted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM give_portfolio_back(ARRAY[NEW.recipient_id], ARRAY[NEW.attempt]);
    RETURN NULL;
END $$;
CREATE TRIGGER send_ledger_refused AFTER INSERT ON send_ledger FOR EACH ROW
WHEN (NEW.outcome IN ('deferred', 'expired', 'skipped')) EXECUTE FUNCTION return_unposted();
CREATE TRIGGER send_ledger_unposted AFTER UPDATE OF outcome ON send_ledger FOR EACH ROW
WHEN (NEW.outcome IN ('deferred', 'expired', 'skipped') AND OLD.outcome IS DISTINCT FROM NEW.outcome)
EXECUTE FUNCTION return_unposted();
