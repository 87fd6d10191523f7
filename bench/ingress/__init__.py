"""The ingress against the same server without Kafka, and against a webhook receiver as most teams write it."""
