"""`campaigns trace`: the story of one message: each event, where it stands, and what it changed or why it did not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import orjson

from cli.console import note, printable, reason_of, run_command
from domain.history import Effect, HistoryStep, RecipientHistory
from domain.status import status
from operations import trace
from runtime.logs import mask_phone, mask_text, mask_wamid
from runtime.process import EXIT_OK, EXIT_TRANSIENT, Transient
from runtime.settings import Settings
from schemas.places import Place
from tables.database import connect
from tables.trace import Row

EXIT_NOBODY = 1


def run_trace(who: str, *, as_json: bool) -> int:
    """`campaigns trace`."""
    return run_command(lambda settings: asyncio.run(_trace(settings, who, as_json=as_json)))


async def _trace(settings: Settings, who: str, *, as_json: bool) -> int:
    found = await look(settings, who)
    if as_json:
        print(orjson.dumps(as_document(found)).decode())
    for line in [] if as_json else as_lines(found):
        print(line)
    note(f"{found.records_read} records of recipient.events looked at")
    if not found.dossiers and not found.story.steps and not found.not_read:
        note("nobody is known by that; try a phone number in full, a recipient id, or a message id (wamid...)")
        return EXIT_NOBODY
    return EXIT_TRANSIENT if found.not_read else EXIT_OK


async def look(settings: Settings, who: str) -> trace.Trace:
    """Collect everything; without Kafka, what the database knows."""
    url = settings.database_url.get_secret_value()
    async with await connect(url, application_name="campaigns-trace") as connection:
        dossiers = [await trace.read_dossier(connection, each) for each in await trace.find(connection, who)]
    known = [each for each in dossiers if each is not None]
    if not known and not trace.keys_of(who):
        return trace.Trace([], RecipientHistory())
    try:
        story, read = await trace.read_story(settings, known, who, note)
    except Transient as error:
        return trace.Trace(known, RecipientHistory(), not_read=reason_of(error))
    return trace.Trace(known, story, read)


def as_document(found: trace.Trace) -> dict[str, Any]:
    """For `--json`; numbers and message ids masked, as everywhere."""
    return {
        "recipients": [
            {
                "row": _masked(each.row),
                "releases": each.releases,
                "ledger": [_masked(row) for row in each.ledger],
                "messages": [_masked(row) for row in each.messages],
                "subscriptions": each.subscriptions,
            }
            for each in found.dossiers
        ],
        "events": [_step(step) for step in found.story.steps],
        "not_read": found.not_read,
    }


def _step(step: HistoryStep) -> dict[str, Any]:
    event = step.told.event
    return {
        "written_at": step.told.written_at,
        "place": str(step.told.place),
        "kind": None if event is None else event.kind.value,
        "recipient_id": step.recipient,
        "attempt": None if event is None else event.attempt,
        "occurred_at": None if event is None else event.occurred_at,
        "origin": None if event is None or event.origin is None else event.origin.model_dump(),
        "effect": step.effect.value,
        "before": step.before,
        "after": step.after,
        "changed": step.changed,
        "reason": step.reason,
    }


def as_lines(found: trace.Trace) -> list[str]:
    """For people: each dossier with its part of the story, a line for an event; then what is nobody's."""
    lines: list[str] = []
    run_command = {each.recipient_id for each in found.dossiers}
    for each in found.dossiers:
        lines += _dossier_lines(each)
        if not found.not_read:
            lines += _events(step for step in found.story.steps if step.recipient == each.recipient_id)
            lines += _end_lines(each, found.story)
    others = [step for step in found.story.steps if step.recipient not in run_command]
    if others:
        lines += ["of nobody whose row is there:", *_events(others)]
    if found.not_read:
        lines.append(f"events: not read. {found.not_read}")
    return [printable(line) for line in lines]


def _events(steps: Iterable[HistoryStep]) -> list[str]:
    return ["  events (written, place, what, effect):", *(f"    {_step_line(step)}" for step in steps)]


def _dossier_lines(each: trace.Dossier) -> Iterator[str]:
    row = each.row
    yield f"recipient {row['id']}  {mask_phone(row['phone_number'])}  campaign {row['name']} ({row['status']})"
    due = f", due {_at(row['next_attempt_at'])}" if row["next_attempt_at"] else ""
    why = f" ({mask_text(row['failure_reason'])})" if row["failure_reason"] else ""
    yield f"  now: {row['recipient_status']}{why}, attempt {row['attempt']}, {row['retry_count']} failed{due}"
    for release in each.releases:
        where = "not published"
        if release["published_at"] is not None:
            job = str(Place("send.jobs", release["job_partition"], release["job_offset"]))
            where = f"published {release['publish_count']} time(s), {job}"
        yield f"  released: attempt {release['attempt']} at {_at(release['released_at'])}, {where}, unclaimed"
    for entry in each.ledger:
        ended = f"{entry['outcome']} at {_at(entry['outcome_at'])}" if entry["outcome"] else (
            f"no answer yet, lease until {_at(entry['lease_until'])}"
        )  # fmt: skip
        published = "" if entry["outcome"] is None else (", told" if entry["published_at"] else ", NOT told yet")
        yield f"  ledger: attempt {entry['attempt']} claimed {_at(entry['claimed_at'])}, {ended}{published}"
    for message in each.messages:
        yield f"  message: {mask_wamid(message['wamid'])}, attempt {message['attempt']}"
    for said in each.subscriptions:
        word = "in" if said["subscribed"] else "OUT"
        yield f"  subscription: {said['source']} says {word} since {_at(said['occurred_at'])}"


def _step_line(step: HistoryStep) -> str:
    event = step.told.event
    what = "not an event" if event is None else event.kind.value
    if event is not None and event.attempt is not None:
        what += f", attempt {event.attempt}"
    source = "" if event is None or event.origin is None else (
        f" from {Place(event.origin.topic, event.origin.partition, event.origin.offset, event.origin.index)}"
    )  # fmt: skip
    match step.effect:
        case Effect.CHANGED:
            moved = f"{step.before} → {step.after}" if step.before != step.after else f"still {step.after}"
            effect = f"{moved}: {', '.join(step.changed)}"
        case Effect.PARKED | Effect.REFUSED | Effect.MALFORMED | Effect.KNOWN | Effect.REPEATED:
            effect = f"nothing changed: {step.effect.value}"
    because = f" ({step.reason})" if step.reason and step.reason != step.effect.value else ""
    return f"{_at(step.told.written_at)}  {step.told.place}{source}  {what}  → {effect}{because}"


def _end_lines(each: trace.Dossier, story: RecipientHistory) -> Iterator[str]:
    facts = story.facts.get(each.recipient_id)
    if facts is None:
        yield "    none is kept"
    elif status(facts) != each.row["recipient_status"]:
        yield (
            f"    the events alone say {status(facts)}, the row says {each.row['recipient_status']}: a release without"
            " an answer, an event not applied yet, or one that is not kept any more"
        )


def _masked(row: Row) -> Row:
    """Without the number; a message id by its tail."""
    masked = dict(row)
    if isinstance(masked.get("phone_number"), str):
        masked["phone_number"] = mask_phone(masked["phone_number"])
    if isinstance(masked.get("wamid"), str):
        masked["wamid"] = mask_wamid(masked["wamid"])
    if isinstance(masked.get("failure_reason"), str):
        masked["failure_reason"] = mask_text(masked["failure_reason"])
    return masked


def _at(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S.%f}"[:-3] + "Z"
