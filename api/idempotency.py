"""`Idempotency-Key` on creates: a repeated request returns the stored answer and changes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Header, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from api.problem_codes import ProblemCode
from api.problems import Problem
from api.services import UseConnection
from tables import idempotency
from tables.database import Connection

HEADER = "Idempotency-Key"
DESCRIPTION = "A key of your choice. A repeated request with it gets the stored answer and changes nothing."
REPLAYED = {"Idempotent-Replayed": "true"}

Work = Callable[[Connection], Awaitable[BaseModel]]


class Once:
    """Runs the work of a request at most once per key."""

    def __init__(self, connection: Connection, key: str | None, request_hash: bytes) -> None:
        self._connection = connection
        self._key = key
        self._request_hash = request_hash

    async def do(self, status: int, work: Work) -> JSONResponse:
        """Return the answer of `work`, or the stored one. A failure is not stored.

        Raises Problem: 409 while the first request runs, 422 if the key belongs to another request.
        """
        if self._key is None:
            return JSONResponse((await work(self._connection)).model_dump(mode="json"), status)
        async with self._connection.transaction():
            if not await idempotency.is_held(self._connection, self._key):
                raise Problem(ProblemCode.REQUEST_IN_PROGRESS)
            stored = await idempotency.find(self._connection, self._key)
            if stored is None:
                body = (await work(self._connection)).model_dump(mode="json")
                answered = idempotency.StoredAnswer(self._request_hash, status, body)
                await idempotency.store(self._connection, self._key, answered)
                return JSONResponse(body, status)
        if stored.request_hash != self._request_hash:
            raise Problem(ProblemCode.IDEMPOTENCY_KEY_REUSED, field=HEADER)
        return JSONResponse(stored.body, stored.status, REPLAYED)


async def _once(
    request: Request,
    connection: UseConnection,
    idempotency_key: Annotated[
        str | None, Header(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$", description=DESCRIPTION)
    ] = None,
) -> Once:
    fingerprint = b"\0".join([request.method.encode(), request.url.path.encode(), await request.body()])
    return Once(connection, idempotency_key, hashlib.sha256(fingerprint).digest())


UseOnce = Annotated[Once, Depends(_once)]
