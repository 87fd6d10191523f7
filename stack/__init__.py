"""The embedded Kafka and Postgres, and the supervisor of our own processes.

Everything here starts other programs and makes sure that they end; nothing here knows what a campaign is.
"""
