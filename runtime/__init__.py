"""What every process needs to run: settings, logs, signals, Kafka clients, HTTP. No business rule lives here."""
