"""The listening socket of the simulator. It can be closed for a time, so that connections are refused."""

from __future__ import annotations

import asyncio

from aiohttp import web

BACKLOG = 1024


class Listener:
    """Opens, closes and reopens the socket of one address. Connections that are open already stay open."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self._reopening: asyncio.Task[None] | None = None

    async def open(self, runner: web.AppRunner) -> int:
        """Listen on the address. Returns the port. Raises OSError if the address is taken."""
        self._runner = runner
        await self._listen()
        self._port = int(runner.addresses[0][1])
        return self._port

    async def refuse(self, seconds: float) -> None:
        """Refuse connections for this time. 0 seconds accept them again."""
        await self._end_reopening()
        if seconds <= 0.0:
            await self._listen()
            return
        if self._site is not None:
            await self._site.stop()
            self._site = None
        self._reopening = asyncio.create_task(self._reopen_after(seconds), name="simulator listener")

    async def close(self) -> None:
        """End a pending reopening. The runner closes the socket."""
        await self._end_reopening()

    async def _listen(self) -> None:
        """Open the socket, if it is closed."""
        if self._site is None and self._runner is not None:
            site = web.TCPSite(self._runner, self._host, self._port, backlog=BACKLOG)
            await site.start()
            self._site = site

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
