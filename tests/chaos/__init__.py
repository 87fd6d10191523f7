"""A random, seeded schedule of faults under load, and one verdict: `make chaos MINUTES=30 SEED=1`."""
