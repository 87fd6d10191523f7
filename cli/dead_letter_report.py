"""Prints dead letters as text or as JSON. Phone numbers, message ids and terminal control characters are masked."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Any

import orjson

from cli.console import note, printable, printable_lines
from operations.dead_letters import Letter, LetterList
from operations.redrive import Acted, LetterAct
from runtime.logs import mask_phone, mask_text
from schemas.bundles import decode_bundle
from schemas.codec import Malformed
from schemas.dead_letters import REDRIVES_MAX
from schemas.topics import Topic

NO_SUCH_LETTER = "no such dead letter: it has expired, or the place is not correct"
_DIGITS = re.compile(r"\d{8,15}")
_DONE = {LetterAct.REDRIVE: "published to their origin topic", LetterAct.DROP: "dropped"}


def change_of(act: LetterAct, count: int) -> str:
    """What an act does, for the question "This will ..."."""
    if act is LetterAct.REDRIVE:
        return f"publish {count:,} dead letter(s) to the stage that refused them"
    return f"drop {count:,} dead letter(s): nobody processes them any more"


class ActPrinter:
    """Prints the letters that an act has done, and its result."""

    def __init__(self, act: LetterAct, *, is_dry: bool, as_json: bool) -> None:
        self._act = act
        self._is_dry = is_dry
        self._as_json = as_json
        self._count = 0
        self._documents: list[dict[str, Any]] = []

    def add(self, letters: Sequence[Letter]) -> None:
        """Print letters that are done, or keep them for the JSON of the result."""
        self._count += len(letters)
        for letter in letters:
            if self._as_json:
                self._documents.append(document_of(letter))
            else:
                print(line_of(letter))
        sys.stdout.flush()  # the command may be interrupted before it ends

    def print_interrupted(self) -> None:
        """Print how many letters were done before an error."""
        if self._count and not self._is_dry:
            note(
                f"{self._count} dead letter(s) were {_DONE[self._act]} before the error. "
                "To process the others, run the command again"
            )

    def print_result(self, result: Acted) -> None:
        """Print the numbers of letters: JSON to stdout, text to stderr."""
        if self._as_json:
            print(orjson.dumps({
                "dry_run": self._is_dry, "count": result.count, "too_large": result.too_large,
                "expired": result.expired, "quarantined": result.quarantined,
                "by_reason": [
                    {"topic": topic, "reason": reason, "redriven": redriven, "count": n}
                    for (topic, reason, redriven), n in sorted(result.by_reason.items())
                ],
                "letters": self._documents,
            }).decode())  # fmt: skip
        if result.done_before is not None:
            note(f"nothing to do: {result.done_before.place} was already {result.done_before.act}")
            return
        for (topic, reason, redriven), n in sorted(result.by_reason.items()):
            note(f"{topic}: {n} {reason}" + (f", redriven {redriven} time(s) before" if redriven else ""))
        verb = "would be" if self._is_dry else "were"
        note(f"{result.count} dead letter(s) {verb} {_DONE[self._act]}")
        if result.too_large:
            note(f"{result.too_large} dead letter(s) are too large for their topic. Show them, then drop them")
        if result.expired:
            note(f"{result.expired} dead letter(s) have an excerpt only, and their records have expired. Drop them")
        if result.quarantined:
            note(
                f"{result.quarantined} dead letter(s) are quarantined: they came back after {REDRIVES_MAX} redrives, "
                "so the cause is not fixed. Fix it, then add --quarantined, or drop them"
            )


def print_list(found: LetterList, *, with_done: bool, as_json: bool) -> None:
    """Print dead letters; their numbers and the possible acts go to stderr."""
    counted = sorted(found.by_reason.items())
    total = found.by_reason.total()
    if as_json:
        print(orjson.dumps({
            "total": total,
            "by_reason": [{"topic": topic, "reason": reason, "count": n} for (topic, reason), n in counted],
            "letters": [document_of(letter) for letter in found.shown],
        }).decode())  # fmt: skip
        return
    for letter in found.shown:
        print(line_of(letter))
    for (topic, reason), n in counted:
        note(f"{topic}: {n} {reason}")
    more = f", {len(found.shown)} shown" if total > len(found.shown) else ""
    waiting = "" if with_done else " wait"
    note(f"{total} dead letter(s){waiting}{more}")
    if total:
        note(
            "To see one: campaigns dead-letters show PLACE. "
            "Fix the cause, then redrive them. If they are useless, drop them."
        )


def print_letter(letter: Letter, *, is_raw: bool, as_json: bool) -> None:
    """Print one dead letter with its content; `is_raw`: only its bytes, unchanged."""
    if is_raw:
        sys.stdout.buffer.write(letter.record.value or b"")
        sys.stdout.flush()
    elif as_json:
        print(orjson.dumps({**document_of(letter), "value": readable(letter)}).decode())
    else:
        print(line_of(letter))
        print("\n".join(readable(letter)))


def document_of(letter: Letter) -> dict[str, Any]:
    """A dead letter for `--json`, without its bytes."""
    stated = letter.stated
    return {
        "place": str(letter.place),
        "stage": stated.stage,
        "reason": stated.reason,
        "error": printable(mask_text(stated.error)) or None,
        "origin": {
            "topic": stated.origin.topic,
            "partition": stated.origin.partition,
            "offset": stated.origin.offset,
            "index": stated.origin.item or 0,
            "items": list(stated.items),
        },
        "at": letter.record.at,
        "bytes": len(letter.record.value or b""),
        "act": letter.act,
        "redriven": letter.redriven,
        "quarantined": letter.is_quarantined,
    }


def line_of(letter: Letter) -> str:
    """A dead letter as one line of text."""
    stated = letter.stated
    origin = "an unknown place" if letter.headers is None else str(stated.origin)
    error = f"  {mask_text(stated.error)}" if stated.error else ""
    state = letter.act or ("quarantined" if letter.is_quarantined else "")
    act = f"  [{state}]" if state else ""
    when = f"{letter.record.at:%Y-%m-%d %H:%M:%S}Z"
    return printable(f"{letter.place}  {when}  {stated.stage}: {stated.reason}{error}  from {origin}{act}")


def readable(letter: Letter) -> list[str]:
    """The record as masked text; a bundle of webhooks as one text per body."""
    value = letter.record.value or b""
    parts = [value]
    if letter.origin_topic.endswith(Topic.WEBHOOKS_RAW):
        try:
            parts = [body.raw for body in decode_bundle(value)]
        except Malformed:
            parts = [value]
    texts = (part.decode(errors="backslashreplace") for part in parts)
    return [printable_lines(_DIGITS.sub(lambda found: mask_phone(found.group()), mask_text(text))) for text in texts]
