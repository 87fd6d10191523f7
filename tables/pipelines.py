"""Transactions whose statements are sent without waiting for the answers in between.

A batch of the sink is several long statements. Where the client awaits each answer, Postgres idles until the event loop
of a busy client has read it, sent the next statement, and so on. Here BEGIN, statements and COMMIT follow each other.

If a statement fails, Postgres skips what was sent behind it, COMMIT included, up to the next call of `answered`. That
call raises the failure, so nothing is sent after it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from psycopg.pq import PipelineStatus, TransactionStatus

from tables.database import Connection, DatabaseError


class NotCommitted(Exception):
    """Postgres answered COMMIT with something else. That is a bug of ours: a failure was not noticed before."""


@asynccontextmanager
async def pipelined_transaction(connection: Connection) -> AsyncIterator[None]:
    """A transaction in pipeline mode. `execute` returns at once; a fetch or `answered` waits, and raises psycopg.Error.

    The end of the block sends COMMIT and waits for all answers. If the block raises, the transaction is rolled back.
    The connection must be in autocommit mode, outside a transaction.
    """
    try:
        async with connection.pipeline():
            await connection.execute("BEGIN")
            yield
            end = await connection.execute("COMMIT")
    except BaseException:
        if not connection.closed and connection.info.transaction_status is not TransactionStatus.IDLE:
            with suppress(DatabaseError):  # the connection is lost, and the transaction with it
                await connection.rollback()
        raise
    if end.statusmessage != "COMMIT":
        raise NotCommitted(end.statusmessage)


async def answered(connection: Connection) -> None:
    """Wait until Postgres has answered all statements. Raises the psycopg.Error of the first that failed.

    Outside a pipeline each statement is answered already.
    """
    if connection.info.pipeline_status is not PipelineStatus.OFF:
        async with connection.pipeline() as pipeline:
            await pipeline.sync()
