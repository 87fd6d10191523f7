"""The operators' tools: they show the state, prove it, and repair it."""
