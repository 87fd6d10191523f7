"""Postgres reads each array as the values that it was made from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from tables import binary_arrays
from tables.database import Connection

CASES: list[tuple[Callable[[Any], object], str, Sequence[Any]]] = [
    (binary_arrays.texts, "text", ["", "a", None, "é\U0001f600", "NULL", '{"a,b"}', "x" * 70_000]),
    (binary_arrays.words, "text", ["a", "b", None, "a", "", "é"]),
    (binary_arrays.times, "timestamptz", [datetime(1, 1, 1, tzinfo=UTC), None, datetime(2000, 1, 1, tzinfo=UTC)]),
    (binary_arrays.times, "timestamptz", [datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)]),
    (binary_arrays.smallints, "smallint", [0, 1, -1, 32_767]),
    (binary_arrays.smallints, "smallint", [None, 1]),
    (binary_arrays.integers, "integer", [0, None, -1, 2_147_483_647]),
    (binary_arrays.bigints, "bigint", [0, 1 << 62, -1, -(1 << 63)]),
    (binary_arrays.booleans, "boolean", [True, False]),
    (binary_arrays.texts, "text", []),
    (binary_arrays.times, "timestamptz", [None]),
]


@pytest.mark.parametrize(("encode", "type_", "values"), CASES)
async def test_an_array_has_its_values(
    connection: Connection, encode: Callable[[Any], object], type_: str, values: Sequence[Any]
) -> None:
    query = f"SELECT u FROM unnest(%s::{type_}[]) WITH ORDINALITY AS u (u, line) ORDER BY line".encode()
    found = await (await connection.execute(query, [encode(values)])).fetchall()
    assert [row[0] for row in found] == list(values)


async def test_an_array_of_ids_has_its_ids(connection: Connection) -> None:
    ids = [UUID(int=0), UUID(int=2**128 - 1)]
    values = binary_arrays.uuids([each.bytes for each in ids])
    assert await (await connection.execute("SELECT %s::uuid[]", [values])).fetchone() == (ids,)
