"""Links between two keys of one human, as the answers of the Cloud API state them.

A link is a fact: it is added and never removed, in any order. An opt-out under one key holds for every key that is
linked with it (`is_unsubscribed` in schema.sql).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from schemas.model import RecipientId
from tables import arrays
from tables.database import Connection
from tables.statements import load

_SQL = load("person_links")


async def link_people(connection: Connection, named: Collection[tuple[RecipientId, str]]) -> None:
    """Link the person of each recipient with another key. Known links, and rows that are gone, change nothing."""
    await connection.execute(
        _SQL["link_people"],
        {"recipients": arrays.plain(each for each, _ in named), "keys": [key for _, key in named]},
    )


async def link_keys(connection: Connection, pairs: Iterable[tuple[str, str]]) -> None:
    """Link pairs of keys of one person. Known links change nothing."""
    listed = sorted(pairs)
    if listed:
        values = {"ones": [one for one, _ in listed], "others": [other for _, other in listed]}
        await connection.execute(_SQL["link_keys"], values)
