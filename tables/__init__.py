"""All access to Postgres: connections, locks, migrations, and one module with its .sql file per table."""
