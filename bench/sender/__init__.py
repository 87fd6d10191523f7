"""The sender, with its claims, its ledger and Kafka, against HTTP clients that only post."""
