"""The question before a change: who may act, the exit codes, and what the operator reads."""

from __future__ import annotations

import io
import sys

import pytest

from cli.confirmation import EXIT_DECLINED, Consent, decline

CHANGE = "resume the campaign spring"


class Terminal(io.StringIO):
    """A stream that a person reads or writes."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("consent", "ending", "text"),
    [
        (Consent(is_given=True), None, ""),
        (Consent(is_dry=True), 0, "because of --dry-run"),
        (Consent(is_given=True, is_dry=True), 0, "because of --dry-run"),
        (Consent(), 64, "add --yes"),
    ],
)
def test_without_a_terminal_only_yes_acts(
    consent: Consent, ending: int | None, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert decline(consent, f"{CHANGE}.") == ending
    printed = capsys.readouterr()
    assert ".." not in printed.err
    assert text in printed.err
    assert printed.out == ""
    assert (f"This would {CHANGE}" in printed.err) is (ending is not None)


@pytest.mark.parametrize(
    ("typed", "ending"),
    [("y\n", None), ("YES\n", None), ("n\n", EXIT_DECLINED), ("\n", EXIT_DECLINED), ("", EXIT_DECLINED)],
)
def test_on_a_terminal_the_operator_answers(monkeypatch: pytest.MonkeyPatch, typed: str, ending: int | None) -> None:
    shown = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    monkeypatch.setattr(sys, "stderr", shown)
    assert decline(Consent(), CHANGE) == ending
    assert f"This will {CHANGE}. Continue? [y/N]" in shown.getvalue()
    assert ("Nothing was done" in shown.getvalue()) is (ending is not None)


def test_a_name_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    decline(Consent(is_dry=True), "resume \x1b[2J\nand another")
    assert "\x1b" not in capsys.readouterr().err
