"""The listening socket of the simulator. It can be closed for a time, so that connections are refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

BACKLOG = 1024


class Listener:
    """Opens, closes and reopens the socket of one address. Connections that are open already stay open."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._accept: Callable[[], asyncio.Protocol] | None = None
        self._server: asyncio.Server | None = None
        self._reopening: asyncio.Task[None] | None = None

    async def open(self, accept: Callable[[], asyncio.Protocol]) -> int:
        """Listen on the address. Each connection gets a protocol. Returns the port. Raises OSError if it is taken."""
        self._accept = accept
        await self._listen()
        return self._port

    async def refuse(self, seconds: float) -> None:
        """Refuse connections for this time. 0 seconds accept them again."""
        await self._end_reopening()
        if seconds <= 0.0:
            await self._listen()
            return
        self._stop_listening()
        self._reopening = asyncio.create_task(self._reopen_after(seconds), name="simulator listener")

    async def close(self) -> None:
        """Close the socket for ever."""
        await self._end_reopening()
        self._stop_listening()

    async def _listen(self) -> None:
        """Open the socket, if it is closed."""
        if self._server is None and self._accept is not None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self._accept, self._host, self._port, backlog=BACKLOG)
            self._port = int(self._server.sockets[0].getsockname()[1])

    def _stop_listening(self) -> None:
        """Close the socket, if it is open."""
        server, self._server = self._server, None
        if server is not None:
            server.close()

    async def _reopen_after(self, seconds: float) -> None:
        """Accept connections again after this time."""
        await asyncio.sleep(seconds)
        await self._listen()

    async def _end_reopening(self) -> None:
        """Cancel the pending reopening. Raises its error if it failed."""
        reopening, self._reopening = self._reopening, None
        if reopening is not None:
            reopening.cancel()
            await asyncio.wait([reopening])
            if not reopening.cancelled():
                reopening.result()
