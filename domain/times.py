"""Limits of the times that webhooks and events may state."""

from __future__ import annotations

from datetime import timedelta

AHEAD_MAX = timedelta(minutes=10)
"""A status cannot be later than its receipt. Ten minutes allow for inaccurate clocks. The receipt is compared together
with the time of the record and the present, because the clock of an ingress may be behind by more."""
