"""Releases due recipients to `send.jobs`."""
