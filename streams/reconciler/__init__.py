"""Turns webhooks into events about recipients."""
