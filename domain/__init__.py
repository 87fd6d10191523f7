"""The decisions: states, merge, error classes, retries, spreading. Pure: clocks, ids and randomness are parameters."""
