"""A TCP proxy on loopback that can cut, delay or hang connections, in place of the network between two programs.

It runs in its own thread. Its port stays the same when the server behind it restarts on another port.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import threading
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

from stack.ports import LOOPBACK

CHUNK_BYTES = 64 * 1024
CHUNKS_HELD_MAX = 256
"""With this number of held chunks the proxy stops reading, and the sender sees a full TCP window."""
T = TypeVar("T")


class Proxy:
    """A proxy for one server. It passes all bytes until a method changes that.

    With several ports it balances a load: each connection goes to the next port in turn that accepts it.
    """

    def __init__(self, *target_ports: int) -> None:
        self.port = 0
        self._target_ports = target_ports
        self._turns = itertools.count()
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
        """Connect to this port of the server from now on."""
        self._target_ports = (port,)

    @property
    def connections(self) -> int:
        """The number of open sockets, two for each passed connection."""
        return len(self._writers)

    def cut(self) -> None:
        """Reset every connection and refuse new ones, until `restore`."""
        self._run(self._cut())

    def hang(self) -> None:
        """Accept connections and bytes, but pass no byte on, until `restore`."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def delay(self, seconds: float) -> None:
        """Delay every byte by this time, in both directions, until `restore`."""
        self._delay_s = seconds

    def restore(self) -> None:
        """Pass all bytes again, including the held ones."""
        self._delay_s = 0.0
        self._loop.call_soon_threadsafe(self._flowing.set)
        self._run(self._listen())

    def close(self) -> None:
        """Reset all connections and end the thread."""
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
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, self.port))
        self.port = int(listener.getsockname()[1])
        self._server = await asyncio.start_server(self._serve, sock=listener, backlog=512)

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
        to_server: asyncio.StreamWriter | None = None
        try:
            from_server, to_server = await self._connected()
            self._writers.add(to_server)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._carry(reader, to_server))
                both.create_task(self._carry(from_server, writer))
        except* OSError:  # one connection has ended, and the other one is reset below
            pass
        finally:
            for each in (writer, to_server):
                if each is not None:
                    self._writers.discard(each)
                    _reset(each)
            self._tasks.discard(task)

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        turn = next(self._turns)
        for offset in range(len(self._target_ports)):
            with contextlib.suppress(OSError):
                port = self._target_ports[(turn + offset) % len(self._target_ports)]
                return await asyncio.open_connection(LOOPBACK, port)
        raise ConnectionRefusedError("no server accepts the connection")

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one direction: each chunk in order after its delay, then the end of the stream."""
        held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS_HELD_MAX)

        async def read_chunks() -> None:
            while True:
                chunk = await reader.read(CHUNK_BYTES)
                await held.put((self._loop.time() + self._delay_s, chunk))
                if not chunk:
                    return

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(read_chunks())
            while True:
                due, chunk = await held.get()
                await self._flowing.wait()
                await asyncio.sleep(max(0.0, due - self._loop.time()))
                if not chunk:
                    with contextlib.suppress(OSError):
                        writer.write_eof()
                    return
                writer.write(chunk)
                await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
