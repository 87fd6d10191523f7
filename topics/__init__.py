"""Everything that talks to Kafka: clients, publishing, consuming, dead letters, lag."""
