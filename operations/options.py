"""The exception for options of an operator's command that cannot be fulfilled."""

from __future__ import annotations


class InvalidOptions(ValueError):
    """The options cannot be fulfilled, and nothing was done. The message names the option and the remedy."""
