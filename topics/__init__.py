"""What Kafka holds: clients, publishing, consuming, dead letters, lag."""
