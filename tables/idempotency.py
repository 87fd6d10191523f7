"""Answers to requests with an Idempotency-Key, stored in the transaction that did what they tell.

So a crash leaves both or neither, and nothing has to be cleaned up. The caller opens the transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from tables import locks
from tables.database import Connection
from tables.statements import load

_SQL = load("campaigns")


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What was answered, and to which request."""

    request_hash: bytes
    status: int
    body: Any


async def is_held(connection: Connection, key: str) -> bool:
    """Hold the key until the end of the transaction; False: another request with it runs now."""
    row = await (await connection.execute(_SQL["try_key"], {"lock": locks.idempotency_text(key)})).fetchone()
    return row is not None and bool(row[0])


async def find(connection: Connection, key: str) -> StoredAnswer | None:
    """The answer that was given before."""
    row = await (await connection.execute(_SQL["find_answer"], {"key": key})).fetchone()
    return None if row is None else StoredAnswer(bytes(row[0]), row[1], row[2])


async def store(connection: Connection, key: str, answer: StoredAnswer) -> None:
    """Remember the answer."""
    values = {
        "key": key,
        "request_hash": answer.request_hash,
        "response_status": answer.status,
        "response_body": Jsonb(answer.body),
    }
    await connection.execute(_SQL["store_answer"], values)
