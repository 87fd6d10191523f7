"""What an operator sees, proves and repairs."""
