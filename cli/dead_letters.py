"""`campaigns dead-letters`: what every stage has set aside; look at it, send it back, or drop it."""

from __future__ import annotations

import asyncio
import re
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from cli.asking import told
from runtime.logs import mask_phone, mask_text
from runtime.process import EXIT_OK, EXIT_USAGE
from runtime.settings import Settings, read_settings
from schemas.bundles import decode_bundle
from schemas.codec import Malformed
from schemas.dead_letters import DeadLetter
from schemas.topics import BY_NAME, DEAD_SUFFIX, Topic
from sinks.database import Connection, connect
from sinks.dead_letter_reading import Filter, Letter, Place, find
from sinks.redrive import Acted, Busy, drop, redrive

EXIT_REFUSED = 1
_PLACE = re.compile(r"(?P<topic>[A-Za-z0-9._-]+)/(?P<partition>\d+)@(?P<offset>\d+)")
_DIGITS = re.compile(r"\d{8,15}")

Act = Callable[..., Awaitable[Acted]]


@dataclass(frozen=True, slots=True)
class Wish:
    """Which letters, as it was typed."""

    topic: str | None = None
    stage: str | None = None
    reason: str | None = None
    since: datetime | None = None
    place: str | None = None
    limit: int = 100
    is_all: bool = False
    is_dry: bool = False
    as_json: bool = False


class WrongPlace(ValueError):
    """No place of a dead letter, or no topic of ours."""


def run_list(wish: Wish) -> int:
    """`dead-letters list`."""
    return _run(wish, lambda settings, connection, asked: _list(settings, connection, asked, wish))


def run_show(wish: Wish, *, is_raw: bool) -> int:
    """`dead-letters show`."""
    return _run(wish, lambda settings, connection, asked: _show(settings, connection, asked, wish, is_raw=is_raw))


def run_redrive(wish: Wish) -> int:
    """`dead-letters redrive`."""
    return _run(wish, lambda settings, connection, asked: _act(settings, connection, asked, wish, redrive))


def run_drop(wish: Wish) -> int:
    """`dead-letters drop`."""
    return _run(wish, lambda settings, connection, asked: _act(settings, connection, asked, wish, drop))


def _run(wish: Wish, command: Callable[[Settings, Connection, Filter], Awaitable[int]]) -> int:
    async def run() -> int:
        settings = read_settings()
        try:
            asked = filter_of(settings, wish)
        except WrongPlace as wrong:
            print(wrong, file=sys.stderr)
            return EXIT_USAGE
        url = settings.database_url.get_secret_value()
        async with await connect(url, application_name="campaigns-dead-letters") as connection:
            return await command(settings, connection, asked)

    return told(lambda: asyncio.run(run()))


def filter_of(settings: Settings, wish: Wish) -> Filter:
    """What was typed, by real names. Raises WrongPlace."""
    place = None
    if wish.place is not None:
        found = _PLACE.fullmatch(wish.place)
        if found is None:
            raise WrongPlace(f"{wish.place!r} is no place of a dead letter, such as webhooks.raw.dead/0@17")
        place = Place(_real(settings, found["topic"]), int(found["partition"]), int(found["offset"]))
    topic = None if wish.topic is None else _real(settings, wish.topic)
    since = wish.since if wish.since is None or wish.since.tzinfo is not None else wish.since.replace(tzinfo=UTC)
    return Filter(topic, wish.stage, wish.reason, since, place, with_done=wish.is_all)


def _real(settings: Settings, name: str) -> str:
    """The real name of a topic typed with or without prefix. Raises WrongPlace for one that is none of ours."""
    plain = name.removeprefix(settings.topic_prefix)
    if plain not in BY_NAME:
        raise WrongPlace(f"{name} is none of: {', '.join(each for each in BY_NAME if each.endswith(DEAD_SUFFIX))}")
    return settings.topic(plain)


async def _list(settings: Settings, connection: Connection, asked: Filter, wish: Wish) -> int:
    shown: list[Letter] = []
    counted: Counter[tuple[str, str]] = Counter()
    async for letters in find(settings, connection, asked):
        shown += letters[: wish.limit - len(shown)]
        counted.update((letter.place.topic, _said(letter).reason) for letter in letters)
    if wish.as_json:
        print(orjson.dumps({
            "total": counted.total(),
            "by_reason": [{"topic": topic, "reason": why, "count": n} for (topic, why), n in sorted(counted.items())],
            "letters": [document_of(letter) for letter in shown],
        }).decode())  # fmt: skip
        return EXIT_OK
    for letter in shown:
        print(line_of(letter))
    for (topic, reason), n in sorted(counted.items()):
        print(f"{topic}: {n} {reason}", file=sys.stderr)
    more = f", {len(shown)} shown" if counted.total() > len(shown) else ""
    print(f"{counted.total()} dead letter(s){more}", file=sys.stderr)
    if counted:
        print("show one: campaigns dead-letters show <place>; then redrive or drop", file=sys.stderr)
    return EXIT_OK


async def _show(settings: Settings, connection: Connection, asked: Filter, wish: Wish, *, is_raw: bool) -> int:
    async for letters in find(settings, connection, asked):
        for letter in letters:
            if is_raw:
                sys.stdout.buffer.write(letter.record.value or b"")
                sys.stdout.flush()
            elif wish.as_json:
                print(orjson.dumps({**document_of(letter), "value": readable(letter)}).decode())
            else:
                print(line_of(letter))
                print("\n".join(readable(letter)))
        return EXIT_OK
    print(f"there is no dead letter at {wish.place}", file=sys.stderr)
    return EXIT_REFUSED


async def _act(settings: Settings, connection: Connection, asked: Filter, wish: Wish, act: Act) -> int:
    if not (asked.is_narrow or wish.is_all):
        print("which? a place, --topic, --stage, --reason, --since, or --all", file=sys.stderr)
        return EXIT_USAGE
    try:
        done = await act(settings, connection, asked, wish.limit, is_dry=wish.is_dry)
    except Busy as busy:
        print(f"refused, busy: {busy}", file=sys.stderr)
        return EXIT_REFUSED
    if wish.as_json:
        print(orjson.dumps({
            "dry_run": wish.is_dry,
            "count": len(done.letters),
            "too_large": done.too_large,
            "letters": [document_of(letter) for letter in done.letters],
        }).decode())  # fmt: skip
    else:
        for letter in done.letters:
            print(line_of(letter))
    would = "would be " if wish.is_dry else ""
    word = "sent back to where they came from" if act is redrive else "dropped"
    print(f"{len(done.letters)} dead letter(s) {would}{word}", file=sys.stderr)
    if done.too_large:
        print(f"{done.too_large} cannot go back: too large for their topic", file=sys.stderr)
    return EXIT_OK


def document_of(letter: Letter) -> dict[str, Any]:
    """For `--json`: all but the bytes."""
    said = _said(letter)
    return {
        "place": str(letter.place),
        "stage": said.stage,
        "reason": said.reason,
        "error": mask_text(said.error) or None,
        "origin": {
            "topic": said.origin_topic,
            "partition": said.origin_partition,
            "offset": said.origin_offset,
            "index": said.origin_index,
        },
        "at": letter.record.at,
        "bytes": len(letter.record.value or b""),
        "act": letter.act,
    }


def line_of(letter: Letter) -> str:
    """For people."""
    said = _said(letter)
    origin = f"{said.origin_topic}/{said.origin_partition}@{said.origin_offset}.{said.origin_index}"
    error = f"  {mask_text(said.error)}" if said.error else ""
    act = f"  [{letter.act}]" if letter.act else ""
    return (
        f"{letter.place}  {letter.record.at:%Y-%m-%d %H:%M:%S}  {said.stage}: {said.reason}{error}  from {origin}{act}"
    )


def readable(letter: Letter) -> list[str]:
    """The record as text, numbers and message ids masked; a bundle body by body."""
    value = letter.record.value or b""
    parts = [value]
    if letter.origin_topic.endswith(Topic.WEBHOOKS_RAW):
        try:
            parts = [body.raw for body in decode_bundle(value)]
        except Malformed:
            parts = [value]
    texts = (part.decode(errors="backslashreplace") for part in parts)
    return [_DIGITS.sub(lambda found: mask_phone(found.group()), mask_text(text)) for text in texts]


def _said(letter: Letter) -> DeadLetter:
    """What its headers say; a record without them is somebody else's."""
    return letter.said or DeadLetter("?", "no_headers", letter.origin_topic, -1, -1)
