"""What travels between processes: the models are the schema. No I/O here, and no decisions."""
