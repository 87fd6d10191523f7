"""Responses to requests that had an Idempotency-Key, stored in the transaction of the request.

A crash therefore keeps both the change and its response, or neither. The caller opens the transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from tables import locks
from tables.database import Connection
from tables.statements import load

_SQL = load("idempotency")


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The response that a key got, and the hash of the request that got it."""

    request_hash: bytes
    status: int
    body: Any


async def is_held(connection: Connection, key: str) -> bool:
    """Lock the key until the end of the transaction. False: another request with this key is running."""
    row = await (await connection.execute(_SQL["try_key"], {"lock": locks.idempotency_text(key)})).fetchone()
    return row is not None and bool(row[0])


async def find(connection: Connection, key: str) -> StoredAnswer | None:
    """The stored response of an earlier request with this key."""
    row = await (await connection.execute(_SQL["find_answer"], {"key": key})).fetchone()
    return None if row is None else StoredAnswer(bytes(row[0]), row[1], row[2])


async def store(connection: Connection, key: str, answer: StoredAnswer) -> None:
    """Store the response. Call it in the transaction of the request."""
    values = {
        "key": key,
        "request_hash": answer.request_hash,
        "response_status": answer.status,
        "response_body": Jsonb(answer.body),
    }
    await connection.execute(_SQL["store_answer"], values)
