"""The result of an act on unknown sends: its exit code, its JSON on stdout, and its text on stderr."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest

from api.unknown_acts import ActPublished, ActResult, Unconfirmed, UnknownSelection
from api.unknowns import UnknownRecipient, UnknownRefusal
from cli.unknown_report import exit_code, print_list, print_result, print_selection
from schemas.events import EventKind
from schemas.model import CampaignId, RecipientId
from schemas.reasons import RepairRefusal

RECIPIENT = UnknownRecipient(
    RecipientId(UUID(int=1)), CampaignId(UUID(int=2)), 1, "15550001234", datetime(2026, 3, 1, tzinfo=UTC), False,
    "spring", "paused",
)  # fmt: skip
SELECTION = UnknownSelection((RECIPIENT,), not_unknown=2, already_retrying=3, dead_answers=4, left=5)
LAG = UnknownRefusal(RepairRefusal.SINK_LAG, "the sink has a backlog of 7 records", can_be_forced=True)


@pytest.mark.parametrize(
    ("result", "code", "document"),
    [
        (Unconfirmed(3), 64, {"refused": "not_confirmed", "recipients": 3}),
        (LAG, 1, {"refused": "sink_lag"}),
    ],
)
def test_without_an_event_the_reason_is_a_code(
    result: ActResult, code: int, document: object, capsys: pytest.CaptureFixture[str]
) -> None:
    print_result(result, EventKind.RETRY, as_json=True)
    assert json.loads(capsys.readouterr().out) == document
    assert exit_code(result) == code


@pytest.mark.parametrize("kind", [EventKind.RETRY, EventKind.ASSUMED_SENT])
def test_published_events_are_counted_and_masked(kind: EventKind, capsys: pytest.CaptureFixture[str]) -> None:
    result = ActPublished(SELECTION)
    print_result(result, kind, as_json=True)
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert (document["event"], document["published"]) == (kind.value, 1)
    assert "15550001234" not in printed.out + printed.err
    assert ("paused, which sends nothing" in printed.err) == (kind is EventKind.RETRY)
    assert "5 more are unknown" in printed.err
    assert exit_code(result) == 0


def test_only_a_refusal_that_can_be_forced_names_the_option(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(LAG, EventKind.RETRY, as_json=False)
    assert "--force" in capsys.readouterr().err
    print_result(UnknownRefusal(RepairRefusal.NOT_UNKNOWN, "none is unknown"), EventKind.RETRY, as_json=False)
    assert "--force" not in capsys.readouterr().err


def test_the_recipients_that_stay_unchanged_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    print_selection(SELECTION)
    printed = capsys.readouterr().err
    for text in ("2 of the given recipients", "a retry of 3 recipient(s)", "4 dead letter(s) wait"):
        assert text in printed
    print_selection(UnknownSelection((RECIPIENT,), 0, 0, 0, 0))
    assert capsys.readouterr().err == ""


def test_a_list_is_masked_and_reports_the_total(capsys: pytest.CaptureFixture[str]) -> None:
    print_list([RECIPIENT], 9, as_json=False)
    printed = capsys.readouterr()
    assert "15550001234" not in printed.out
    assert "9 unknown, 1 shown" in printed.err
