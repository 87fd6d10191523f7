"""Publishes webhooks to `webhooks.raw`."""
