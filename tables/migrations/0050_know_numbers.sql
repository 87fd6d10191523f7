-- Our numbers as Meta shows them, and what Meta reported about numbers.

CREATE TABLE business_numbers (
    phone_number_id text PRIMARY KEY,
    digits          text CHECK (digits ~ '^[0-9]{1,20}$'),
    quality         text,
    throughput      text,
    state           text,
    read_at         timestamptz NOT NULL
);
CREATE INDEX business_numbers_digits ON business_numbers (digits);
COMMENT ON COLUMN business_numbers.digits IS 'The number as people see it, in digits; NULL: Meta showed none';
CREATE TABLE number_reports (
    number      text PRIMARY KEY,
    reason      text NOT NULL,
    reported_at timestamptz NOT NULL
);
COMMENT ON COLUMN number_reports.number IS 'The id, or a + and the digits that people see (domain/number_reports.py)';

-- Whether a report is about a number of ours, by the rule of domain/number_reports.py. `digits`: of the number; NULL: not read.
CREATE FUNCTION is_meant(in_key text, in_number text, in_digits text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT in_key IN ('', in_number) OR left(in_key, 1) = '+' AND CASE
        WHEN in_digits IS NULL THEN NOT EXISTS (SELECT FROM business_numbers WHERE digits = substr(in_key, 2))
        ELSE substr(in_key, 2) = in_digits END
$$;
