"""`campaigns trace`: prints a recipient's rows and each of its events with the effect, or why it had none."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import Json, country_code

if TYPE_CHECKING:
    from domain.history import HistoryStep, RecipientHistory
    from operations.trace import Dossier, Trace
    from runtime.settings import Settings
    from tables.trace import Row

EXIT_NOT_FOUND = 1


def trace(
    query: Annotated[
        str, typer.Argument(metavar="RECIPIENT", help="A phone number, a recipient id, or a message id (wamid...)")
    ],
    country: Annotated[
        str | None,
        typer.Option(
            callback=country_code, help="The ISO code of the country of a number without + and 00, such as DE"
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show a recipient's rows and events, and what each event changed."""
    from cli.console import run_command
    from domain.phone_numbers import COUNTRIES

    if country is not None and country not in COUNTRIES:
        raise typer.BadParameter("it is an ISO 3166 code, such as DE or US", param_hint="--country")
    raise typer.Exit(run_command(lambda settings: asyncio.run(_trace(settings, query, country, as_json=json))))


async def _trace(settings: Settings, query: str, country: str | None = None, *, as_json: bool) -> int:
    import orjson

    from cli.console import note, reason_of
    from operations.trace import collect
    from runtime.process import EXIT_OK, EXIT_TRANSIENT

    found = await collect(settings, query, reason_of, note, country)
    if as_json:
        print(orjson.dumps(as_document(found)).decode())
    for line in [] if as_json else as_lines(found, with_traces=bool(settings.traces)):
        print(line)
    note(f"{found.records_read} records of recipient.events read")
    if not found.dossiers and not found.history.steps and not found.not_read:
        note("No recipient matches. Give a full phone number, a recipient id, or a message id (wamid...).")
        return EXIT_NOT_FOUND
    return EXIT_TRANSIENT if found.not_read else EXIT_OK


def as_document(found: Trace) -> dict[str, Any]:
    """For `--json`; phone numbers and message ids are masked."""
    return {
        "recipients": [
            {
                "row": _masked(each.row),
                "releases": each.releases,
                "ledger": [_masked(row) for row in each.ledger],
                "messages": [_masked(row) for row in each.messages],
                "subscriptions": each.subscriptions,
                "trace_ids": _trace_ids(each),
            }
            for each in found.dossiers
        ],
        "events": [_step(step) for step in found.history.steps],
        "not_read": found.not_read,
    }


def _trace_ids(each: Dossier) -> dict[str, str]:
    """The id of the trace of each attempt."""
    from domain.traces import trace_id_of

    attempts = range(1, each.row["attempt"] + 1)
    return {str(attempt): f"{trace_id_of(each.recipient_id, attempt):032x}" for attempt in attempts}


def _step(step: HistoryStep) -> dict[str, Any]:
    event = step.traced.event
    return {
        "written_at": step.traced.written_at,
        "place": str(step.traced.place),
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


def as_lines(found: Trace, *, with_traces: bool = False) -> list[str]:
    """For people: each recipient with its events, a line each; then events that belong to no recipient found.

    `with_traces`: also the ids of their traces, by which a tool for traces finds them.
    """
    from cli.console import printable

    lines: list[str] = []
    known = {each.recipient_id for each in found.dossiers}
    for each in found.dossiers:
        lines += _dossier_lines(each)
        if with_traces:
            lines += [f"  trace of attempt {attempt}: {trace_id}" for attempt, trace_id in _trace_ids(each).items()]
        if not found.not_read:
            lines += _events(step for step in found.history.steps if step.recipient == each.recipient_id)
            lines += _end_lines(each, found.history)
    others = [step for step in found.history.steps if step.recipient not in known]
    if others:
        lines += ["events that belong to no existing recipient:", *_events(others)]
    if found.not_read:
        lines.append(f"events: not read. {found.not_read}")
    return [printable(line) for line in lines]


def _events(steps: Iterable[HistoryStep]) -> list[str]:
    return ["  events (written at, place, event, effect):", *(f"    {_step_line(step)}" for step in steps)]


def _dossier_lines(each: Dossier) -> Iterator[str]:
    from runtime.logs import mask_phone, mask_text, mask_wamid
    from schemas.places import Place

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
        published = "" if entry["outcome"] is None else (", published" if entry["published_at"] else ", NOT published")
        yield f"  ledger: attempt {entry['attempt']} claimed {_at(entry['claimed_at'])}, {ended}{published}"
    for message in each.messages:
        yield f"  message: {mask_wamid(message['wamid'])}, attempt {message['attempt']}"
    for entry in each.subscriptions:
        state = "subscribed" if entry["subscribed"] else "OPTED OUT"
        yield f"  subscription: {state} since {_at(entry['occurred_at'])} (source: {entry['source']})"


def _step_line(step: HistoryStep) -> str:
    from domain.history import Effect
    from schemas.places import Place

    event = step.traced.event
    what = "not an event" if event is None else event.kind.value
    if event is not None and event.attempt is not None:
        what += f", attempt {event.attempt}"
    source = "" if event is None or event.origin is None else (
        f" from {Place(event.origin.topic, event.origin.partition, event.origin.offset, event.origin.index)}"
    )  # fmt: skip
    match step.effect:
        case Effect.CHANGED:
            status = f"{step.before} → {step.after}" if step.before != step.after else f"still {step.after}"
            effect = f"status: {status}  set: {', '.join(step.changed)}"
        case Effect.PARKED | Effect.REFUSED | Effect.MALFORMED | Effect.KNOWN | Effect.REPEATED:
            effect = f"nothing changed: {step.effect.value}"
    because = f" ({step.reason})" if step.reason and step.reason != step.effect.value else ""
    return f"{_at(step.traced.written_at)}  {step.traced.place}{source}  {what}  {effect}{because}"


def _end_lines(each: Dossier, history: RecipientHistory) -> Iterator[str]:
    from domain.status import status

    facts = history.facts.get(each.recipient_id)
    if facts is None:
        yield "    the topic keeps no event of this recipient"
    elif status(facts) != each.row["recipient_status"]:
        yield (
            f"    the events give {status(facts)}, the row has {each.row['recipient_status']}: an attempt is released"
            " or in flight, an event is not applied yet, or the topic no longer keeps one"
        )


def _masked(row: Row) -> Row:
    """The row with masked phone number and message id."""
    from runtime.logs import mask_phone, mask_text, mask_wamid

    masked = dict(row)
    for name in ("phone_number", "person"):
        if isinstance(masked.get(name), str):
            masked[name] = mask_phone(masked[name])
    if isinstance(masked.get("wamid"), str):
        masked["wamid"] = mask_wamid(masked["wamid"])
    if isinstance(masked.get("failure_reason"), str):
        masked["failure_reason"] = mask_text(masked["failure_reason"])
    return masked


def _at(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S.%f}"[:-3] + "Z"
