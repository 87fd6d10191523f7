"""Inserts recipients into `campaign_recipients`, for several clients at once.

Both ways to insert keep the same rules. They insert people in the order of their keys, so two clients that add the same
people do not wait for each other for ever. `insert` is right for all people. `insert_sooner` takes half of its time for
those who are new and have no link, who are most of a list. It leaves the others to `insert`.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING
from uuid import UUID

import orjson

from domain.people import USER, PersonKey
from tables import binary_arrays as binary
from tables.database import Connection
from tables.statements import load

if TYPE_CHECKING:
    from tables.campaigns import NewRecipient

_SQL = load("new_recipients")

_Keyed = tuple[PersonKey, "NewRecipient"]
_RANDOM_BYTES = 10
"""What a version 7 UUID has after its time, with the four bits of the version and the two of the variant."""
_VARIANTS = {digit: f"{8 | int(digit, 16) & 3:x}" for digit in "0123456789abcdef"}
"""The digit that says RFC 9562 and keeps two random bits, for each random digit."""


@dataclass(frozen=True, slots=True)
class RecipientBatch:
    """Recipients in the order of their keys, as parameters of the statements. A thread can make it ahead."""

    keyed: Sequence[_Keyed] = field(repr=False)
    keys: binary.TextArray = field(repr=False)
    """The keys of all, and those of the user ids of some."""
    user_ids: binary.TextArray = field(repr=False)
    """The user ids in `keys`."""
    columns: Mapping[str, binary.TextArray] = field(repr=False)
    """The columns of the rows."""


Insert = Callable[[Connection, UUID, RecipientBatch], Awaitable[list[str]]]
"""Inserts recipients, and returns the names of those that the campaign has."""


def batch_of(people: Iterable[NewRecipient]) -> RecipientBatch:
    """The recipients, ready to be inserted."""
    return _batch(sorted([(each.person, each) for each in people], key=itemgetter(0)))


async def insert_sooner(connection: Connection, campaign_id: UUID, batch: RecipientBatch) -> list[str]:
    """Insert recipients, and return the names of those that were not, because the campaign has them or their humans.

    Raises UniqueViolation if another client has just added one of them, or if the batch has one twice. Nothing of the
    transaction can be used then.
    """
    known = await _find_known(connection, campaign_id, batch)
    if not known:
        await _insert_new(connection, campaign_id, batch)
        return []
    new: list[_Keyed] = []
    linked: list[_Keyed] = []
    names: list[str] = []
    for each in batch.keyed:
        person, recipient = each
        found = [known[key] for key in _keys(person, recipient) if key in known]
        if not found:
            new.append(each)
        elif any(found):
            linked.append(each)
        else:
            names.append(recipient.name)
    if new:
        await _insert_new(connection, campaign_id, _batch(new))
    return names + (await insert(connection, campaign_id, _batch(linked)) if linked else [])


async def insert(connection: Connection, campaign_id: UUID, batch: RecipientBatch) -> list[str]:
    """The same for all people. Waits for other clients that add one of them."""
    values = {
        "campaign": campaign_id, "persons": binary.texts([person for person, _ in batch.keyed]), **batch.columns
    }  # fmt: skip
    return [row[0] for row in await (await connection.execute(_SQL["insert_any"], values)).fetchall()]


async def find_present(connection: Connection, campaign_id: UUID, names: Sequence[str]) -> frozenset[str]:
    """Those of these names that the campaign has, spelled as here."""
    if not names:
        return frozenset()
    values = {"campaign": campaign_id, "names": list(names)}
    cursor = await connection.execute(_SQL["find_present"], values)
    return frozenset(row[0] for row in await cursor.fetchall())


def _batch(keyed: Sequence[_Keyed]) -> RecipientBatch:
    people = [recipient for _, recipient in keyed]
    user_ids = [each.user_id for each in people if each.user_id is not None]
    keys = [person for person, _ in keyed]
    parameters = [each.template_parameters for each in people]
    return RecipientBatch(
        keyed,
        binary.texts(keys + [PersonKey(USER + each) for each in user_ids] if user_ids else keys),
        binary.texts(user_ids),
        {
            "phone_numbers": binary.texts([each.phone_number for each in people]),
            "user_ids": binary.words([each.user_id for each in people]),
            "template_parameters": binary.words(
                [None if each is None else orjson.dumps(each).decode() for each in parameters]
            ),
        },
    )


def _keys(person: PersonKey, recipient: NewRecipient) -> tuple[str, ...]:
    return (person,) if recipient.user_id is None else (person, USER + recipient.user_id)


async def _find_known(connection: Connection, campaign_id: UUID, batch: RecipientBatch) -> dict[str, bool]:
    """The keys that the campaign has or that have a link, and whether each has one."""
    values = {"campaign": campaign_id, "keys": batch.keys, "user_ids": batch.user_ids}
    known: dict[str, bool] = {}
    for key, is_linked in await (await connection.execute(_SQL["find_known"], values)).fetchall():
        known[key] = known.get(key, False) or is_linked
    return known


async def _insert_new(connection: Connection, campaign_id: UUID, batch: RecipientBatch) -> None:
    values = {"campaign": campaign_id, "id_ends": binary.texts(sorted(_id_ends(len(batch.keyed)))), **batch.columns}
    await connection.execute(_SQL["insert_new"], values)


def _id_ends(count: int) -> Iterator[str]:
    """The digits of version 7 UUIDs after the time. In ascending order, new rows go to the end of each index."""
    digits = os.urandom(count * _RANDOM_BYTES).hex()
    for start in range(0, len(digits), 2 * _RANDOM_BYTES):
        each = digits[start : start + 2 * _RANDOM_BYTES]
        yield f"7{each[1:4]}{_VARIANTS[each[4]]}{each[5:]}"
