"""The sources of opt-outs and opt-ins. It imports nothing, so that the command line starts fast."""

from enum import StrEnum


class Source(StrEnum):
    """The source of an opt-out or opt-in."""

    KEYWORD = "keyword"
    """The person, by a word such as STOP or by a button."""
    PLATFORM = "platform"
    """The person, in WhatsApp's own settings, or Meta's refusal because of them (131050)."""
    OPERATOR = "operator"
