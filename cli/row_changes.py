"""Renders a changed row as text or as JSON. Message ids and texts are masked."""

from __future__ import annotations

from typing import Any

from cli.console import printable
from operations.row_changes import Change
from runtime.logs import mask_text, mask_wamid


def as_document(change: Change) -> dict[str, Any]:
    """The change for `--json`."""
    return {
        "recipient_id": change.recipient_id,
        "campaign_id": change.campaign_id,
        "campaign_status": change.campaign_status,
        "makes_due": change.makes_due,
        "columns": {
            name: {"before": _shown(name, change.before[name]), "after": _shown(name, change.after[name])}
            for name in change.columns
        },
    }


def as_line(change: Change) -> str:
    """The change as one line of text."""
    parts = [
        f"{name} {_text(name, change.before[name])} → {_text(name, change.after[name])}" for name in change.columns
    ]
    due = "  WOULD RESEND" if change.makes_due else ""
    return f"recipient {change.recipient_id}: {', '.join(parts)}{due}"


def _text(name: str, value: Any) -> str:
    shown = _shown(name, value)
    return "-" if shown is None else printable(str(shown))


def _shown(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return mask_wamid(value) if name == "whatsapp_message_id" else mask_text(value)
