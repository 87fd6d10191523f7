-- Statements of the rolling budget of the portfolio. The rules are in domain/portfolio.py.

-- name: configure
-- Store the budget that releases obey from now on.
INSERT INTO portfolio AS p (people_max, window_s) VALUES (%(people_max)s, %(window_s)s)
ON CONFLICT (is_only) DO UPDATE SET people_max = excluded.people_max, window_s = excluded.window_s
WHERE (p.people_max, p.window_s) IS DISTINCT FROM (excluded.people_max, excluded.window_s)

-- name: lock_budget
-- Lock the budget until the end of the transaction, and return it with the time after the wait.
SELECT people_max, window_s, reported_max, clock_timestamp() FROM portfolio FOR NO KEY UPDATE

-- name: read_budget
-- The budget, and the time.
SELECT people_max, window_s, reported_max, reported_at, now() FROM portfolio

-- name: read_used
-- The people of the buckets that still count, and the first of these buckets.
SELECT coalesce(sum(people), 0)::integer, min(began_at) FROM portfolio_buckets
WHERE began_at > %(counts_after)s AND people > 0

-- name: read_buckets
-- The people of each bucket that still counts, the first bucket first.
SELECT began_at, people FROM portfolio_buckets WHERE began_at > %(counts_after)s AND people > 0 ORDER BY began_at

-- name: charge
-- Charge released attempts to a bucket. A person who is charged already moves to this bucket. After a jump back of the
-- clock, one who is charged to a later bucket stays there.
WITH released AS MATERIALIZED (
    SELECT r.id, u.attempt, r.person
    FROM unnest(%(ids)s::uuid[], %(attempts)s::smallint[]) AS u (id, attempt)
    JOIN campaign_recipients AS r ON r.id = u.id
), people AS MATERIALIZED (
    SELECT p.person, newest.bucket
    FROM (SELECT DISTINCT person FROM released) AS p
    LEFT JOIN LATERAL (
        SELECT c.bucket FROM portfolio_charges AS c
        WHERE c.person = p.person AND c.bucket > %(counts_after)s ORDER BY c.bucket DESC LIMIT 1) AS newest ON true
), charged AS (
    INSERT INTO portfolio_charges (recipient_id, attempt, person, bucket)
    SELECT id, attempt, person, %(bucket)s FROM released
    ON CONFLICT DO NOTHING
), left_behind AS (
    UPDATE portfolio_buckets AS b SET people = b.people - moved.n
    FROM (SELECT bucket, count(*) AS n FROM people WHERE bucket < %(bucket)s GROUP BY bucket) AS moved
    WHERE b.began_at = moved.bucket
)
INSERT INTO portfolio_buckets AS b (began_at, people)
SELECT %(bucket)s, count(*) FROM people WHERE bucket IS NULL OR bucket < %(bucket)s HAVING count(*) > 0
ON CONFLICT (began_at) DO UPDATE SET people = b.people + excluded.people

-- name: has_work
-- Whether anything is to be given back, or counts no more.
SELECT EXISTS (SELECT FROM portfolio_returns)
    OR EXISTS (SELECT FROM portfolio_charges WHERE bucket <= %(counts_after)s)
    OR EXISTS (SELECT FROM portfolio_buckets WHERE began_at <= %(counts_after)s)

-- name: apply_returns
-- Delete the charges of attempts that were not posted. A person who has another charge moves back to its bucket.
WITH page AS MATERIALIZED (
    SELECT id, recipient_id, attempt FROM portfolio_returns ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), gone AS MATERIALIZED (
    SELECT DISTINCT c.recipient_id, c.attempt, c.person
    FROM page JOIN portfolio_charges AS c USING (recipient_id, attempt)
), people AS MATERIALIZED (
    SELECT c.person, max(c.bucket) AS old, max(c.bucket) FILTER (WHERE gone.recipient_id IS NULL) AS new
    FROM (SELECT DISTINCT person FROM gone) AS p
    JOIN portfolio_charges AS c ON c.person = p.person AND c.bucket > %(counts_after)s
    LEFT JOIN gone ON gone.recipient_id = c.recipient_id AND gone.attempt = c.attempt
    GROUP BY c.person
), moved AS (
    UPDATE portfolio_buckets AS b SET people = b.people + change.n
    FROM (SELECT bucket, sum(n)::integer AS n
          FROM (SELECT old AS bucket, -1 AS n FROM people WHERE old IS DISTINCT FROM new
                UNION ALL
                SELECT new, 1 FROM people WHERE new < old) AS every
          GROUP BY bucket) AS change
    WHERE b.began_at = change.bucket
), deleted AS (
    DELETE FROM portfolio_charges AS c USING gone WHERE c.recipient_id = gone.recipient_id AND c.attempt = gone.attempt
), forgotten AS (
    DELETE FROM portfolio_returns AS r USING page WHERE r.id = page.id
)
SELECT count(*)::integer FROM page

-- name: prune_charges
-- Delete charges that count no more, the oldest first.
DELETE FROM portfolio_charges WHERE (recipient_id, attempt) IN (
    SELECT recipient_id, attempt FROM portfolio_charges WHERE bucket <= %(counts_after)s
    ORDER BY bucket LIMIT %(limit)s)

-- name: prune_buckets
-- Delete buckets that count no more.
DELETE FROM portfolio_buckets WHERE began_at <= %(counts_after)s

-- name: report_limit
-- Store a limit that Meta reported, unless a later report is known.
INSERT INTO portfolio AS p (reported_max, reported_at) VALUES (%(limit)s, %(at)s)
ON CONFLICT (is_only) DO UPDATE SET reported_max = excluded.reported_max, reported_at = excluded.reported_at
WHERE p.reported_at IS NULL OR p.reported_at < excluded.reported_at

-- name: recount
-- The buckets that still count and differ from the charges: the beginning, the people counted, and the people found.
SELECT began_at, coalesce(b.people, 0), coalesce(f.people, 0)
FROM (SELECT began_at, people FROM portfolio_buckets WHERE began_at > %(counts_after)s AND people <> 0) AS b
FULL JOIN (
    SELECT newest AS began_at, count(*) AS people
    FROM (SELECT person, max(bucket) AS newest FROM portfolio_charges WHERE bucket > %(counts_after)s GROUP BY person) AS n
    GROUP BY newest) AS f USING (began_at)
WHERE coalesce(b.people, 0) <> coalesce(f.people, 0)
ORDER BY began_at
