"""What Postgres holds: all SQL, connections, migrations, locks."""
