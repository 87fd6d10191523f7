"""Webhooks into events about recipients."""
