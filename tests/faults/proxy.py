"""A TCP proxy on loopback that can cut, delay or hang what passes: the network between a process and a server.

It runs in a thread of its own. Its port stays the same while the server behind it comes back on another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

from stack.ports import LOOPBACK

CHUNK_BYTES = 64 * 1024
CHUNKS_HELD_MAX = 256
"""Then the sender feels it, as with a full window."""
T = TypeVar("T")


class Proxy:
    """One door to one server; passes everything until told otherwise."""

    def __init__(self, target_port: int = 0) -> None:
        self.port = 0
        self._target_port = target_port
        self._delay_s = 0.0
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._run(self._listen())

    def retarget(self, port: int) -> None:
        """The server is at this port from now on."""
        self._target_port = port

    @property
    def connections(self) -> int:
        """How many connections stand now, both sides of each counted."""
        return len(self._writers)

    def cut(self) -> None:
        """Reset every connection and refuse new ones, until `mend`."""
        self._run(self._cut())

    def hang(self) -> None:
        """Take everything and pass nothing on, until `mend`: connections stand, and no byte arrives."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def delay(self, seconds: float) -> None:
        """From now on every byte arrives so much later, each way."""
        self._delay_s = seconds

    def mend(self) -> None:
        """Pass everything again, what was held included."""
        self._delay_s = 0.0
        self._loop.call_soon_threadsafe(self._flowing.set)
        self._run(self._listen())

    def close(self) -> None:
        """End it all."""
        self._run(self._cut())
        self._run(self._end_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        if self._server is not None:
            return
        door = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind((LOOPBACK, self.port))
        self.port = int(door.getsockname()[1])
        self._server = await asyncio.start_server(self._serve, sock=door, backlog=512)

    async def _cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            _reset(writer)

    async def _end_tasks(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        there: asyncio.StreamWriter | None = None
        try:
            back, there = await asyncio.open_connection(LOOPBACK, self._target_port)
            self._writers.add(there)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._carry(reader, there))
                both.create_task(self._carry(back, writer))
        except* OSError:  # one side is gone: so is the other, below
            pass
        finally:
            for each in (writer, there):
                if each is not None:
                    self._writers.discard(each)
                    _reset(each)
            self._tasks.discard(task)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction: each piece at its time, in order, and the end of the stream as well."""
        held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS_HELD_MAX)

        async def take() -> None:
            while True:
                piece = await reader.read(CHUNK_BYTES)
                await held.put((self._loop.time() + self._delay_s, piece))
                if not piece:
                    return

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(take())
            while True:
                due, piece = await held.get()
                await self._flowing.wait()
                await asyncio.sleep(max(0.0, due - self._loop.time()))
                if not piece:
                    with contextlib.suppress(OSError):
                        writer.write_eof()
                    return
                writer.write(piece)
                await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
