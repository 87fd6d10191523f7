"""The embedded Kafka and Postgres, and the supervisor of our own processes.

This package starts other programs and makes sure that they end. It imports no other package of the project.
"""
