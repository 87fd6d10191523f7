"""Prints unknown recipients and the result of an act on them, as text or as JSON. Phone numbers are masked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, assert_never

import orjson

from api.unknown_acts import ActPublished, ActResult, Unconfirmed, UnknownSelection
from api.unknowns import UnknownRecipient, UnknownRefusal
from cli.console import note, printable
from runtime.logs import mask_phone
from runtime.process import EXIT_OK, EXIT_USAGE
from schemas.events import EventKind
from schemas.reasons import RepairRefusal

EXIT_REFUSED = 1


def exit_code(result: ActResult) -> int:
    """0 if the events were published, 64 if the act was not confirmed, 1 if it was refused."""
    match result:
        case ActPublished():
            return EXIT_OK
        case Unconfirmed():
            return EXIT_USAGE
        case UnknownRefusal():
            return EXIT_REFUSED
        case _:
            assert_never(result)


def print_list(found: Sequence[UnknownRecipient], total: int, *, as_json: bool) -> None:
    """Print unknown recipients; their number and the possible acts go to stderr."""
    if as_json:
        print(orjson.dumps({"total": total, "unknown": [_document(each) for each in found]}).decode())
        return
    now = datetime.now(UTC)
    for each in found:
        minutes = int((now - each.since).total_seconds() // 60)
        retrying = "  retry requested" if each.is_retrying else ""
        print(
            f"{each.recipient_id}  {mask_phone(each.phone_number)}  attempt {each.attempt}  for {minutes} min"
            f"  {printable(each.campaign_name)} ({each.campaign_status}){retrying}"
        )
    note(f"{total} unknown" + (f", {len(found)} shown" if total > len(found) else ""))
    if total:
        note(
            "A status webhook resolves them automatically. "
            "To send again: campaigns unknown retry. To declare them sent: campaigns unknown assume-sent."
        )


def print_selection(selection: UnknownSelection) -> None:
    """Print to stderr which of the given recipients are left unchanged, and whether dead letters may hold answers."""
    if selection.dead_answers:
        note(
            f"{selection.dead_answers} dead letter(s) wait and may contain an answer. "
            "To see them: campaigns dead-letters list"
        )
    if selection.not_unknown:
        note(f"{selection.not_unknown} of the given recipients are not unknown, or no longer; they stay unchanged")
    if selection.already_retrying:
        note(f"a retry of {selection.already_retrying} recipient(s) was already requested; they stay unchanged")


def print_result(result: ActResult, kind: EventKind, *, as_json: bool) -> None:
    """Print the result of an act: JSON to stdout, text to stderr."""
    if as_json:
        print_document(result, kind)
    match result:
        case ActPublished(selection):
            _note_published(kind, selection)
        case Unconfirmed():
            pass  # `decline` has printed the reason
        case UnknownRefusal():
            override = ". --force overrides this" if result.can_be_forced else ""
            note(f"refused, {result.reason}: {result.message}{override}")
        case _:
            assert_never(result)


def print_document(result: ActResult, kind: EventKind) -> None:
    """Print the result of an act as JSON to stdout."""
    print(orjson.dumps(_result_document(result, kind)).decode())


def _note_published(kind: EventKind, selection: UnknownSelection) -> None:
    note(
        f"Published a `{kind.value}` event for {len(selection.recipients)} recipient(s); the sink will apply them. "
        "To follow one: campaigns trace <recipient id>"
    )
    if kind is EventKind.RETRY:
        statuses = Counter(each.campaign_status for each in selection.recipients)
        for status in ("cancelled", "paused"):
            if statuses[status]:
                note(f"{statuses[status]} of them belong to a campaign that is {status}, which sends nothing")
    if selection.left:
        note(f"{selection.left} more are unknown. To process them, run the command again")


def change_of(kind: EventKind, count: int) -> str:
    """What an act does, for the question "This will ...": with its risk."""
    if kind is EventKind.RETRY:
        return (
            f"send to {count} recipient(s) again. Their last attempt MAY have reached them, and they would then get "
            "the message twice"
        )
    return f"count {count} recipient(s) as sent permanently"


def _result_document(result: ActResult, kind: EventKind) -> dict[str, Any]:
    match result:
        case ActPublished(selection):
            recipients = [_document(each) for each in selection.recipients]
            return {"event": kind.value, "published": len(recipients), "recipients": recipients}
        case Unconfirmed(recipients):
            return {"refused": RepairRefusal.NOT_CONFIRMED, "recipients": recipients}
        case UnknownRefusal(reason):
            return {"refused": reason}
        case _:
            assert_never(result)


def _document(each: UnknownRecipient) -> dict[str, object]:
    return {
        "recipient_id": each.recipient_id,
        "campaign_id": each.campaign_id,
        "campaign_status": each.campaign_status,
        "attempt": each.attempt,
        "phone_number": mask_phone(each.phone_number),
        "since": each.since,
        "retry_asked": each.is_retrying,
    }
