-- Statements of roles that only read the reports, such as that of a dashboard. They are commands of Postgres, which take
-- no parameters: {role}, {password} and {schema} are filled in by psycopg as identifiers and literals.

-- name: find_role
-- Whether a role exists, and whether it may do more than read: a superuser, the owner of relations, or ourselves.
SELECT r.rolsuper OR r.rolname = current_user
    OR EXISTS (SELECT FROM pg_class AS c WHERE c.relowner = r.oid)
    OR EXISTS (SELECT FROM pg_auth_members AS m WHERE m.member = r.oid)
FROM pg_roles AS r WHERE r.rolname = %(role)s

-- name: create_role
-- Make the role.
CREATE ROLE {role}

-- name: limit_role
-- Let it sign in with this password, and do nothing else of the server.
ALTER ROLE {role} WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
    CONNECTION LIMIT 20 PASSWORD {password}

-- name: end_long_queries
-- A long query holds back the cleaning of old row versions in the whole database.
ALTER ROLE {role} SET statement_timeout = '30s'

-- name: end_idle_transactions
-- So does a transaction that is left open.
ALTER ROLE {role} SET idle_in_transaction_session_timeout = '30s'

-- name: only_read
-- It has no right to write anything either. The setting explains that in the error.
ALTER ROLE {role} SET default_transaction_read_only = on

-- name: revoke_tables
-- Take back what it may have had in our schema.
REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role}

-- name: use_schema
-- Let it name the objects of our schema.
GRANT USAGE ON SCHEMA {schema} TO {role}

-- name: grant_reports
-- Let it read the reports.
GRANT SELECT ON {reports} TO {role}
