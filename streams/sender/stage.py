"""The name of the stage: its consumer group, its logs and its metrics carry it."""

from __future__ import annotations

STAGE = "sender"
