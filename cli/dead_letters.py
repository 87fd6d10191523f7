"""`campaigns dead-letters`: what every stage has set aside; look at it, send it back, or drop it."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import orjson

from cli.console import run_command
from cli.dead_letter_lines import document_of, line_of, readable
from operations.dead_letters import Filter, Letter, find
from operations.redrive import Acted, Busy, drop, redrive
from runtime.process import EXIT_OK, EXIT_USAGE
from runtime.settings import Settings
from schemas.places import Place
from schemas.topics import BY_NAME, DEAD_SUFFIX
from tables.database import Connection, connect

EXIT_REFUSED = 1

Act = Callable[..., Awaitable[Acted]]


@dataclass(frozen=True, slots=True)
class DeadLetterOptions:
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


class InvalidPlace(ValueError):
    """No place of a dead letter, or no topic of ours."""


def run_list(wish: DeadLetterOptions) -> int:
    """`dead-letters list`."""
    return _run(wish, lambda settings, connection, asked: _list(settings, connection, asked, wish))


def run_show(wish: DeadLetterOptions, *, is_raw: bool) -> int:
    """`dead-letters show`."""
    return _run(wish, lambda settings, connection, asked: _show(settings, connection, asked, wish, is_raw=is_raw))


def run_redrive(wish: DeadLetterOptions) -> int:
    """`dead-letters redrive`."""
    return _run(wish, lambda settings, connection, asked: _act(settings, connection, asked, wish, redrive))


def run_drop(wish: DeadLetterOptions) -> int:
    """`dead-letters drop`."""
    return _run(wish, lambda settings, connection, asked: _act(settings, connection, asked, wish, drop))


def _run(wish: DeadLetterOptions, command: Callable[[Settings, Connection, Filter], Awaitable[int]]) -> int:
    async def run(settings: Settings) -> int:
        try:
            asked = filter_of(settings, wish)
        except InvalidPlace as wrong:
            print(wrong, file=sys.stderr)
            return EXIT_USAGE
        url = settings.database_url.get_secret_value()
        async with await connect(url, application_name="campaigns-dead-letters") as connection:
            return await command(settings, connection, asked)

    return run_command(lambda settings: asyncio.run(run(settings)))


def filter_of(settings: Settings, wish: DeadLetterOptions) -> Filter:
    """What was typed, by real names. Raises InvalidPlace."""
    place = None
    if wish.place is not None:
        try:
            found = Place.parse(wish.place)
        except ValueError as error:
            raise InvalidPlace(str(error)) from None
        if not found.topic.endswith(DEAD_SUFFIX):
            raise InvalidPlace(f"{wish.place} is not a dead letter: its topic does not end with {DEAD_SUFFIX}")
        place = Place(_real(settings, found.topic), found.partition, found.offset)
    topic = None if wish.topic is None else _real(settings, wish.topic)
    since = wish.since if wish.since is None or wish.since.tzinfo is not None else wish.since.replace(tzinfo=UTC)
    return Filter(topic, wish.stage, wish.reason, since, place, with_done=wish.is_all)


def _real(settings: Settings, name: str) -> str:
    """The real name of a topic typed with or without prefix. Raises InvalidPlace for one that is none of ours."""
    plain = name.removeprefix(settings.topic_prefix)
    if plain not in BY_NAME:
        raise InvalidPlace(f"{name} is none of: {', '.join(each for each in BY_NAME if each.endswith(DEAD_SUFFIX))}")
    return settings.topic(plain)


async def _list(settings: Settings, connection: Connection, asked: Filter, wish: DeadLetterOptions) -> int:
    shown: list[Letter] = []
    counted: Counter[tuple[str, str]] = Counter()
    async for letters in find(settings, connection, asked):
        shown += letters[: wish.limit - len(shown)]
        counted.update((letter.place.topic, letter.stated.reason) for letter in letters)
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
    waiting = "" if wish.is_all else " wait"
    print(f"{counted.total()} dead letter(s){waiting}{more}", file=sys.stderr)
    if counted:
        print(
            "show one: campaigns dead-letters show PLACE; once its cause is mended redrive, else drop", file=sys.stderr
        )
    return EXIT_OK


async def _show(
    settings: Settings, connection: Connection, asked: Filter, wish: DeadLetterOptions, *, is_raw: bool
) -> int:
    if is_raw and sys.stdout.isatty():
        print("these bytes may steer a terminal: write them to a file, or pipe them on", file=sys.stderr)
        return EXIT_USAGE
    letter = await _only(settings, connection, asked)
    if letter is None:
        print(_none_at(wish), file=sys.stderr)
        return EXIT_REFUSED
    if is_raw:
        sys.stdout.buffer.write(letter.record.value or b"")
        sys.stdout.flush()
    elif wish.as_json:
        print(orjson.dumps({**document_of(letter), "value": readable(letter)}).decode())
    else:
        print(line_of(letter))
        print("\n".join(readable(letter)))
    return EXIT_OK


async def _only(settings: Settings, connection: Connection, asked: Filter) -> Letter | None:
    """The first letter that is meant."""
    async with aclosing(find(settings, connection, asked)) as batches:
        async for letters in batches:
            return letters[0]
    return None


def _none_at(wish: DeadLetterOptions) -> str:
    return f"there is no dead letter at {wish.place}: it is past its retention, or never was"


async def _act(settings: Settings, connection: Connection, asked: Filter, wish: DeadLetterOptions, act: Act) -> int:
    if not (asked.is_narrow or wish.is_all):
        print("which? a place, --topic, --stage, --reason, --since, or --all", file=sys.stderr)
        return EXIT_USAGE
    if asked.place is not None and (ending := await _needless(settings, connection, asked, wish)) is not None:
        return ending
    documents: list[dict[str, Any]] = []
    count = 0

    def tell(letters: Sequence[Letter]) -> None:
        nonlocal count
        count += len(letters)
        for letter in letters:
            if wish.as_json:
                documents.append(document_of(letter))
            else:
                print(line_of(letter))
        sys.stdout.flush()  # what is done is told, also where the end comes in the middle

    word = "sent back to where they came from" if act is redrive else "dropped"
    try:
        done = await act(settings, connection, asked, wish.limit, is_dry=wish.is_dry, on_acted=tell)
    except Busy as busy:
        print(f"refused, busy: {busy}", file=sys.stderr)
        return EXIT_REFUSED
    except BaseException:
        if count and not wish.is_dry:
            print(f"{count} dead letter(s) {word} before it ended; run it again for the others", file=sys.stderr)
        raise
    if wish.as_json:
        print(orjson.dumps({
            "dry_run": wish.is_dry, "count": done.count, "too_large": done.too_large, "letters": documents,
        }).decode())  # fmt: skip
    would = "would be " if wish.is_dry else ""
    print(f"{done.count} dead letter(s) {would}{word}", file=sys.stderr)
    if done.too_large:
        print(f"{done.too_large} cannot go back: too large for their topic; show them, then drop", file=sys.stderr)
    return EXIT_OK


async def _needless(settings: Settings, connection: Connection, asked: Filter, wish: DeadLetterOptions) -> int | None:
    """The exit code where the one letter that is meant is not there, or is dealt with; None: it waits."""
    letter = await _only(settings, connection, replace(asked, with_done=True))
    if letter is None:
        print(_none_at(wish), file=sys.stderr)
        return EXIT_REFUSED
    if letter.act is None:
        return None
    if wish.as_json:
        print(orjson.dumps({"dry_run": wish.is_dry, "count": 0, "too_large": 0, "letters": []}).decode())
    print(f"nothing to do: {letter.place} was {letter.act} before", file=sys.stderr)
    return EXIT_OK
