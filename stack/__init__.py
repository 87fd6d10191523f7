"""The embedded Kafka and Postgres, and the supervisor of our own processes.

This package starts other programs and ensures that they end. It is independent of campaigns.
"""
