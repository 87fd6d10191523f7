"""Everything that touches Postgres: schema, statements, the sink and the stats publisher."""
