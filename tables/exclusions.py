"""Finds the campaigns that a campaign excludes. The rules are pure: `domain.exclusions`."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from domain.exclusions import InvalidExclusion
from tables.database import Connection
from tables.statements import load

_SQL = load("exclusions")


async def find_excluded(connection: Connection, texts: Sequence[str]) -> tuple[UUID, ...]:
    """The campaigns with these ids or names, each once. Raises InvalidExclusion for a text that names not one."""
    if not texts:
        return ()
    ids = [_id(text) for text in texts]
    cursor = await connection.execute(_SQL["find_excluded"], {"ids": ids, "names": list(texts)})
    found: dict[int, list[UUID]] = {}
    for place, campaign in await cursor.fetchall():
        found.setdefault(place, []).append(campaign)
    for place, text in enumerate(texts, start=1):
        if place not in found:
            raise InvalidExclusion(f"There is no campaign with the id or name {text!r}.")
        if len(found[place]) > 1:
            raise InvalidExclusion(f"Several campaigns have the name {text!r}. Give the id of one.")
    return tuple(dict.fromkeys(found[place][0] for place in range(1, len(texts) + 1)))


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
