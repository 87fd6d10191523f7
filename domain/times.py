"""Limits of the times that webhooks and events may state."""

from __future__ import annotations

from datetime import timedelta

AHEAD_MAX = timedelta(minutes=10)
"""A status cannot be later than its receipt. Ten minutes allow for inaccurate clocks."""
