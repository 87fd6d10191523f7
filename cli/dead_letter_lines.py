"""A dead letter as an operator sees it: numbers and message ids masked, and nothing that steers a terminal."""

from __future__ import annotations

import re
from typing import Any

from cli.console import printable, printable_lines
from operations.dead_letters import Letter
from runtime.logs import mask_phone, mask_text
from schemas.bundles import decode_bundle
from schemas.codec import Malformed
from schemas.topics import Topic

_DIGITS = re.compile(r"\d{8,15}")


def document_of(letter: Letter) -> dict[str, Any]:
    """For `--json`: all but the bytes."""
    said = letter.stated
    return {
        "place": str(letter.place),
        "stage": said.stage,
        "reason": said.reason,
        "error": printable(mask_text(said.error)) or None,
        "origin": {
            "topic": said.origin.topic,
            "partition": said.origin.partition,
            "offset": said.origin.offset,
            "index": said.origin.item or 0,
        },
        "at": letter.record.at,
        "bytes": len(letter.record.value or b""),
        "act": letter.act,
    }


def line_of(letter: Letter) -> str:
    """For people."""
    said = letter.stated
    origin = "an unknown place" if letter.headers is None else str(said.origin)
    error = f"  {mask_text(said.error)}" if said.error else ""
    act = f"  [{letter.act}]" if letter.act else ""
    when = f"{letter.record.at:%Y-%m-%d %H:%M:%S}Z"
    return printable(f"{letter.place}  {when}  {said.stage}: {said.reason}{error}  from {origin}{act}")


def readable(letter: Letter) -> list[str]:
    """The record as text, numbers and message ids masked, nothing that steers a terminal; a bundle body by body."""
    value = letter.record.value or b""
    parts = [value]
    if letter.origin_topic.endswith(Topic.WEBHOOKS_RAW):
        try:
            parts = [body.raw for body in decode_bundle(value)]
        except Malformed:
            parts = [value]
    texts = (part.decode(errors="backslashreplace") for part in parts)
    return [printable_lines(_DIGITS.sub(lambda found: mask_phone(found.group()), mask_text(text))) for text in texts]
