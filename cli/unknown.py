"""`campaigns unknown`: list sends whose outcome is not known, repeat them, or declare them sent.

A repetition may send a message a second time, so it says so, needs --yes, and waits for what may still answer.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import orjson

from cli.console import note, printable, run_command
from operations import status, unknowns
from runtime.logs import mask_phone
from runtime.process import EXIT_OK, EXIT_USAGE, Transient
from runtime.settings import Settings
from schemas.events import EventKind
from tables.database import Connection, connect
from topics.publisher import PublishFailed

EXIT_REFUSED = 1
APPLICATION = "campaigns-unknown"


@dataclass(frozen=True, slots=True)
class UnknownOptions:
    """Whom an act is about, and how sure the operator is."""

    ids: tuple[UUID, ...] = ()
    campaign: UUID | None = None
    is_sure: bool = False
    is_forced: bool = False
    as_json: bool = False


def run_list(campaign: UUID | None, limit: int, *, as_json: bool) -> int:
    """`campaigns unknown list`."""
    return run_command(lambda settings: asyncio.run(_list(settings, campaign, limit, as_json=as_json)))


def run_retry(wish: UnknownOptions) -> int:
    """`campaigns unknown retry`."""
    return run_command(lambda settings: asyncio.run(act(settings, EventKind.RETRY, wish)))


def run_assume_sent(wish: UnknownOptions) -> int:
    """`campaigns unknown assume-sent`."""
    return run_command(lambda settings: asyncio.run(act(settings, EventKind.ASSUMED_SENT, wish)))


async def _list(settings: Settings, campaign: UUID | None, limit: int, *, as_json: bool) -> int:
    async with await connect(settings.database_url.get_secret_value(), application_name=APPLICATION) as connection:
        found, total = await unknowns.find(connection, campaign=campaign, limit=limit)
    if as_json:
        print(orjson.dumps({"total": total, "unknown": [_document(each) for each in found]}).decode())
        return EXIT_OK
    now = datetime.now(UTC)
    for each in found:
        minutes = int((now - each.since).total_seconds() // 60)
        asked = "  retry asked for" if each.is_retrying else ""
        print(
            f"{each.recipient_id}  {mask_phone(each.phone_number)}  attempt {each.attempt}  for {minutes} min"
            f"  {printable(each.campaign_name)} ({each.campaign_status}){asked}"
        )
    note(f"{total} unknown" + (f", {len(found)} shown" if total > len(found) else ""))
    if total:
        note("a webhook heals them by itself; `campaigns unknown retry` repeats, `assume-sent` declares them sent")
    return EXIT_OK


async def act(settings: Settings, kind: EventKind, wish: UnknownOptions) -> int:
    """Say it of those who are unknown, or say why not."""
    if not wish.ids and wish.campaign is None:
        note("whom? recipient ids, or --campaign")
        return EXIT_USAGE
    async with await connect(settings.database_url.get_secret_value(), application_name=APPLICATION) as connection:
        is_repeated = kind is EventKind.RETRY
        if is_repeated and wish.is_sure and not wish.is_forced:
            note("waiting until everything that was received has been applied")
            if (refusal := await unknowns.behind(connection, settings)) is not None:
                return _refused(refusal, wish)
        if is_repeated and not wish.is_forced:
            await _warn_of_dead_letters(connection, settings)
        unknown, total = await unknowns.find(connection, campaign=wish.campaign, ids=wish.ids or None)
    if others := set(wish.ids) - {each.recipient_id for each in unknown}:
        note(f"{len(others)} of those named are not unknown (any more): left as they are")
    found = [each for each in unknown if not (is_repeated and each.is_retrying)]
    if asked := len(unknown) - len(found):
        note(f"{asked} are to be repeated already: left as they are")
    if not found:
        return _refused(_nobody(len(unknown)), wish)
    if not wish.is_sure:
        if wish.as_json:
            print(orjson.dumps({"refused": "not_confirmed", "recipients": len(found)}).decode())
        note(_warning(kind, len(found)))
        return EXIT_USAGE
    if is_repeated and not wish.is_forced and (young := unknowns.too_young(found, datetime.now(UTC))) is not None:
        return _refused(young, wish)
    try:
        said = await unknowns.state(settings, kind, found, lambda: datetime.now(UTC))
    except PublishFailed:
        note("Kafka has not acknowledged it. It may count all the same; saying it again is harmless")
        raise
    return _done(kind, found, said, total, wish)


async def _warn_of_dead_letters(connection: Connection, settings: Settings) -> None:
    """What was set aside was passed, so it is no lag: yet it may hold the answer."""
    try:
        count = await status.count_dead_answers(connection, settings)
    except Transient:
        return
    if count:
        note(f"{count} dead letter(s) wait, and an answer may be among them: campaigns dead-letters list")


def _nobody(asked_before: int) -> unknowns.UnknownRefusal:
    if asked_before:
        said = "a repetition was asked for before; they are released when their campaign sends"
        return unknowns.UnknownRefusal("asked_before", said)
    return unknowns.UnknownRefusal("not_unknown", "none of them is unknown (any more)")


def _done(
    kind: EventKind, found: Sequence[unknowns.UnknownRecipient], said: int, total: int, wish: UnknownOptions
) -> int:
    if wish.as_json:
        document = {"event": kind.value, "published": said, "recipients": [_document(each) for each in found]}
        print(orjson.dumps(document).decode())
    note(f"{kind.value}: said of {said} recipient(s); the sink applies it, `campaigns trace <recipient id>` shows it")
    resting = Counter(each.campaign_status for each in found if each.campaign_status in ("paused", "cancelled"))
    for state, count in sorted(resting.items()):
        if kind is EventKind.RETRY:
            note(f"{count} of them belong to a campaign that is {state}: nothing is sent to them while it is")
    if total > unknowns.ROWS_MAX:
        note(f"{total - unknowns.ROWS_MAX} more are left: run it again")
    return EXIT_OK


def _warning(kind: EventKind, count: int) -> str:
    if kind is EventKind.RETRY:
        return (
            f"{count} recipient(s) would be sent to again. Their last attempt MAY have reached them: nobody knows, and "
            "they would get the message twice. Add --yes to do it; nothing was done."
        )
    return f"{count} recipient(s) would count as sent, for good. Add --yes to do it; nothing was done."


def _refused(refusal: unknowns.UnknownRefusal, wish: UnknownOptions) -> int:
    if wish.as_json:
        print(orjson.dumps({"refused": refusal.reason}).decode())
    forced = " (--force does it all the same)" if refusal.can_be_forced else ""
    note(f"refused, {refusal.reason}: {refusal.message}{forced}")
    return EXIT_REFUSED


def _document(each: unknowns.UnknownRecipient) -> dict[str, object]:
    return {
        "recipient_id": each.recipient_id,
        "campaign_id": each.campaign_id,
        "campaign_status": each.campaign_status,
        "attempt": each.attempt,
        "phone_number": mask_phone(each.phone_number),
        "since": each.since,
        "retry_asked": each.is_retrying,
    }
