"""The producers: the webhook ingress and the send scheduler publish to Kafka."""
