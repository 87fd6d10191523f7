"""Webhooks into `webhooks.raw`."""
