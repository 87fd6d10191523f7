"""A changed row is shown masked, and its texts cannot control the terminal."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from cli.row_changes import as_document, as_line
from operations.row_changes import Change

BEFORE = {"status": "sent", "failure_text": None}
AFTER = BEFORE | {"failure_text": "\x1b[2Jto 14690000001 failed"}
CHANGE = Change(UUID(int=1), UUID(int=2), "active", ("failure_text",), BEFORE, AFTER, makes_due=False)


def test_a_change_is_masked_and_printable() -> None:
    assert "\x1b" not in as_line(CHANGE)
    assert "1469" not in as_line(CHANGE) + str(as_document(CHANGE))


def test_a_change_that_sends_again_is_marked() -> None:
    assert "WOULD RESEND" not in as_line(CHANGE)
    assert as_line(replace(CHANGE, makes_due=True)).endswith("WOULD RESEND")
