"""What we decide: states, merge, error classes, retry, spreading. Pure: clocks, ids and randomness are parameters."""
