"""The output side: the sink writes events to Postgres, and the stats publisher publishes counters to Kafka."""
