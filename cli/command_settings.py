"""Settings of a command that people run: its log lines go to stderr, masked, so that stdout holds the answer alone."""

from __future__ import annotations

from runtime import logs
from runtime.settings import Settings, read_settings


def command_settings() -> Settings:
    """Read the settings and set up logging by them. Raises WrongSettings."""
    settings = read_settings()
    logs.configure(settings)
    return settings
