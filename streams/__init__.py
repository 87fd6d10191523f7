"""Through Kafka: the Faust workers (reconciler, sender) and the Cloud API client."""
