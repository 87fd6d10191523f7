"""Into Kafka: the webhook ingress and the send-scheduler."""
