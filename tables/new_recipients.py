"""Inserts recipients into `campaign_recipients`, for several clients at once.

Both ways to insert keep the same rules. They insert people in the order of their keys, so two clients that add the same
people do not wait for each other for ever. `insert` is right for all people. `insert_sooner` takes half of its time for
those who are new and have no link, who are most of a list. It leaves the others to `insert`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any
from uuid import UUID

import orjson

from domain.people import USER, PersonKey, person_of
from tables import binary_arrays as binary
from tables.database import Connection
from tables.server import read_clock
from tables.statements import load
from tables.turns import Turn

_SQL = load("new_recipients")


@dataclass(slots=True)
class NewRecipient:
    """A recipient to add: by a phone number in digits, by a user id, or by both.

    It is not frozen, because that takes three times as long to make, and an import makes millions.
    """

    phone_number: str | None = field(repr=False)
    template_parameters: list[Any] | dict[str, Any] | None = field(default=None, repr=False)
    user_id: str | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The phone number, or the key of the user id."""
        return self.phone_number or f"{USER}{self.user_id}"

    @property
    def person(self) -> PersonKey:
        """The key of the person."""
        return person_of(self.name)


Keyed = tuple[PersonKey, NewRecipient]
_RANDOM_BYTES = 10
"""What a version 7 UUID has after its time, with the four bits of the version and the two of the variant."""
_TIME_BYTES = 6
_VARIANT_PLACE = 2
_VERSIONS = bytes(0x70 | byte & 0x0F for byte in range(256))
_VARIANTS = bytes(0x80 | byte & 0x3F for byte in range(256))
"""For each random byte: the byte that says version 7, or RFC 9562, and keeps the other bits."""


@dataclass(frozen=True, slots=True)
class RecipientBatch:
    """Recipients in the order of their keys, as parameters of the statements. A thread can make it ahead."""

    keyed: Sequence[Keyed] = field(repr=False)
    keys: binary.TextArray = field(repr=False)
    """The keys of all, and those of the user ids of some."""
    user_ids: binary.TextArray = field(repr=False)
    """The user ids in `keys`."""
    columns: Mapping[str, binary.TextArray] = field(repr=False)
    """The columns of the rows."""
    id_ends: Sequence[bytes] = field(repr=False)
    """The ids of the rows without their time. In ascending order, new rows go to the end of each index."""


def batch_of(people: Iterable[NewRecipient]) -> RecipientBatch:
    """The recipients, ready to be inserted."""
    return batch_of_keyed([(each.person, each) for each in people])


def batch_of_keyed(keyed: Iterable[Keyed]) -> RecipientBatch:
    """The same for recipients whose keys are known."""
    return _batch(sorted(keyed, key=itemgetter(0)))


async def insert_sooner(connection: Connection, campaign_id: UUID, batch: RecipientBatch, turn: Turn) -> list[str]:
    """Insert recipients, and return the names of those that were not, because the campaign has them or their humans.

    No batch that is under way before this one may have a key of this one. People with a link wait for its end.

    Raises UniqueViolation if another client has just added one of them, or if the batch has one twice, and OutOfTurn.
    Nothing of the transaction can be used then.
    """
    time_ms = await _time_ms(connection, turn)
    known = await _find_known(connection, campaign_id, batch)
    if not known:
        await _insert_new(connection, campaign_id, batch, time_ms)
        return []
    new: list[Keyed] = []
    linked: list[Keyed] = []
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
        await _insert_new(connection, campaign_id, _batch(new), time_ms)
    if linked:
        await turn.comes_soon()
        names += await insert(connection, campaign_id, _batch(linked), turn)
    return names


async def insert(connection: Connection, campaign_id: UUID, batch: RecipientBatch, turn: Turn) -> list[str]:
    """The same for all people, when the turn has come. Waits for other clients that add one of them."""
    values = {
        "campaign": campaign_id,
        "ids": _ids(batch, await _time_ms(connection, turn)),
        "persons": binary.texts([person for person, _ in batch.keyed]),
        **batch.columns,
    }
    return [row[0] for row in await (await connection.execute(_SQL["insert_any"], values)).fetchall()]


async def find_present(connection: Connection, campaign_id: UUID, names: Sequence[str]) -> frozenset[str]:
    """Those of these names that the campaign has, spelled as here."""
    if not names:
        return frozenset()
    values = {"campaign": campaign_id, "names": list(names)}
    cursor = await connection.execute(_SQL["find_present"], values)
    return frozenset(row[0] for row in await cursor.fetchall())


def _batch(keyed: Sequence[Keyed]) -> RecipientBatch:
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
        _id_ends(len(keyed)),
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


async def _time_ms(connection: Connection, turn: Turn) -> int:
    """The time in the ids of a batch, by the clock of the server."""
    if not turn.began.is_set():
        await turn.begin(int((await read_clock(connection)).timestamp() * 1000))
    return turn.time_ms


async def _insert_new(connection: Connection, campaign_id: UUID, batch: RecipientBatch, time_ms: int) -> None:
    values = {"campaign": campaign_id, "ids": _ids(batch, time_ms), **batch.columns}
    await connection.execute(_SQL["insert_new"], values)


def _ids(batch: RecipientBatch, time_ms: int) -> binary.UuidArray:
    return binary.uuids_after(time_ms.to_bytes(_TIME_BYTES), batch.id_ends)


def _id_ends(count: int) -> list[bytes]:
    random = bytearray(os.urandom(count * _RANDOM_BYTES))
    random[::_RANDOM_BYTES] = random[::_RANDOM_BYTES].translate(_VERSIONS)
    random[_VARIANT_PLACE::_RANDOM_BYTES] = random[_VARIANT_PLACE::_RANDOM_BYTES].translate(_VARIANTS)
    ends = bytes(random)
    return sorted([ends[start : start + _RANDOM_BYTES] for start in range(0, len(ends), _RANDOM_BYTES)])
