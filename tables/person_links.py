"""Links between two keys of one human, as answers and webhooks state them.

A link is a fact: it is added and never removed, in any order, and one of the same account stays one. An opt-out under
one key holds for every key that links lead to (`sources_out` in schema.sql).
"""

from __future__ import annotations

from collections.abc import Collection

from domain.subscriptions import Links
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


async def link_keys(connection: Connection, links: Links) -> None:
    """Link pairs of keys of one human; the values say whether both name one account. Known links change nothing."""
    if links:
        listed = sorted(links)
        values = {
            "ones": [one for one, _ in listed],
            "others": [other for _, other in listed],
            "same_account": arrays.plain(links[pair] for pair in listed),
        }
        await connection.execute(_SQL["link_keys"], values)
