-- A job on which each sender ended is a failure with a reason of its own.

CREATE OR REPLACE FUNCTION failure_counter_key(failure_code integer, failure_text text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN failure_code BETWEEN 0 AND 9999999 THEN failure_code::text
        WHEN failure_code IS NULL
            AND failure_text IN ('attempts_exhausted', 'invalid_template_parameters', 'ended_senders')
            THEN failure_text
        ELSE 'unknown'
    END
$$;
