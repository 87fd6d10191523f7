"""Compares the template parameters of recipients with a template, chunk by chunk, and reads those of one recipient.

Postgres groups a chunk by the shape of the parameters and measures the texts. `domain/template_fit.py` then judges one
recipient of each shape, so a campaign of a million recipients with one shape costs a few hundred judgements.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from domain.template_fit import Misfit, Room, long_texts, misfits_of, rooms_of
from domain.templates import MessageTemplate
from schemas.reasons import ParameterMisfit
from tables.database import Connection
from tables.release_memory import FIRST_ID
from tables.statements import load

_SQL = load("template_checks")

CHUNK_ROWS = 20_000
"""Recipients of one statement, far below the statement timeout."""
NO_ROOM = 2_147_483_647


@dataclass(frozen=True, slots=True)
class MisfitGroup:
    """Recipients of a chunk with the same misfits."""

    misfits: tuple[Misfit, ...]
    recipients: int
    first: tuple[UUID, ...]
    """The first of them, by id."""


@dataclass(frozen=True, slots=True)
class ComparedChunk:
    """What a chunk of recipients showed."""

    recipients: int
    """Those that were judged."""
    groups: tuple[MisfitGroup, ...]
    """Those that do not fit."""
    last: UUID
    """The greatest id of the chunk."""


@dataclass(frozen=True, slots=True)
class RecipientParameters:
    """A recipient with its stored parameters."""

    id: UUID
    phone_number: str = field(repr=False)
    template_parameters: Any = field(repr=False)


async def compare(
    connection: Connection,
    campaign_id: UUID,
    template: MessageTemplate,
    first_max: int,
    chunk_rows: int = CHUNK_ROWS,
    *,
    after: UUID = FIRST_ID,
    waiting_only: bool = False,
    failed_too: bool = False,
) -> AsyncGenerator[ComparedChunk, None]:
    """Compare all recipients of a campaign with a template, in the order of their ids.

    `after`: the id after which to begin. `waiting_only`: judge only recipients that may still get a message, with
    `failed_too` also those that failed.
    """
    rooms = rooms_of(template)
    values = {
        "campaign": campaign_id,
        "first": first_max,
        "limit": chunk_rows,
        "failed_too": failed_too,
        "body": _weights(template, rooms.body),
        "header": _weights(template, rooms.header),
        "body_room": NO_ROOM if rooms.body is None else rooms.body.characters,
        "header_room": NO_ROOM if rooms.header is None else rooms.header.characters,
    }
    while True:
        rows = await (await connection.execute(_SQL["measure_chunk"], {**values, "after": after})).fetchall()
        total = sum(row[0] for row in rows)
        if not total:
            return
        after = rows[0][6]
        judged = [row for row in rows if row[5] or not waiting_only]
        groups = (_group(template, *row[:5]) for row in judged)
        yield ComparedChunk(sum(row[0] for row in judged), tuple(each for each in groups if each.misfits), after)
        if total < chunk_rows:
            return


def _weights(template: MessageTemplate, room: Room | None) -> str:
    """How often each parameter occurs in a text, as the statement takes it: by name, or by place from 1."""
    weights = {} if room is None else room.weights
    if template.is_named:
        return orjson.dumps(weights).decode()
    ordered = sorted(weights, key=lambda name: (len(name), name))
    return orjson.dumps({str(place): weights[name] for place, name in enumerate(ordered, 1)}).decode()


def _group(
    template: MessageTemplate,
    recipients: int,
    has_long_body: bool,
    has_long_header: bool,
    first: Sequence[UUID],
    given: object,
) -> MisfitGroup:
    found = [each for each in misfits_of(template, given) if each.reason is not ParameterMisfit.TOO_LONG]
    if not found:
        found = long_texts(template, body=has_long_body, header=has_long_header)
    return MisfitGroup(tuple(found), recipients, tuple(first))


async def read_first(connection: Connection, ids: Sequence[UUID]) -> list[RecipientParameters]:
    """These recipients, in the order of their ids."""
    rows = await (await connection.execute(_SQL["read_first"], {"ids": list(ids)})).fetchall()
    return [RecipientParameters(*row) for row in rows]


async def read_one(
    connection: Connection, campaign_id: UUID, recipient_id: UUID | None = None, person: str | None = None
) -> RecipientParameters | None:
    """One recipient of a campaign: the one with this id, or of this person, or else the first. None: there is none."""
    values = {"campaign": campaign_id, "id": recipient_id, "person": person}
    row = await (await connection.execute(_SQL["read_one"], values)).fetchone()
    return None if row is None else RecipientParameters(*row)
