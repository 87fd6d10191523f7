"""What every process needs: settings, logs, metrics, signals, HTTP, waiting. It has no Kafka, SQL or business rule."""
