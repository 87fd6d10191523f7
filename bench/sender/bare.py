"""HTTP clients that only post: no Kafka, no claim, no ledger. They are the ceiling of every sender in Python.

    python bare.py --client httpx --url http://127.0.0.1:8002 --posts FILE --connections 256

Each line of FILE is a path and a body, with a tab between them. So many posts are in flight as there are connections.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import aiohttp
import httpx
import orjson
from httpx_aiohttp import AiohttpTransport

HEADERS = {"Authorization": "Bearer token", "Content-Type": "application/json"}
TIMEOUT_S = 20.0

PostOnce = Callable[[str, bytes], Awaitable[bytes]]


async def run(client: str, url: str, lines: Iterator[bytes], connections: int) -> None:
    """Post every line once."""
    if client == "aiohttp":
        connector = aiohttp.TCPConnector(limit=connections)
        async with aiohttp.ClientSession(url, connector=connector, headers=HEADERS) as session:
            await _post_all(lines, _with_aiohttp(session), connections)
        return
    if client == "httpx":
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        transport: httpx.AsyncBaseTransport = httpx.AsyncHTTPTransport(limits=limits)
    else:
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections))
        transport = AiohttpTransport(client=session)
    async with httpx.AsyncClient(transport=transport, base_url=url, headers=HEADERS, timeout=TIMEOUT_S) as http:
        await _post_all(lines, _with_httpx(http), connections)


def _with_httpx(client: httpx.AsyncClient) -> PostOnce:
    async def post(path: str, body: bytes) -> bytes:
        return (await client.post(path, content=body)).content

    return post


def _with_aiohttp(session: aiohttp.ClientSession) -> PostOnce:
    async def post(path: str, body: bytes) -> bytes:
        async with session.post(path, data=body) as answer:
            return await answer.read()

    return post


async def _post_all(lines: Iterator[bytes], post: PostOnce, connections: int) -> None:
    async def worker() -> None:
        for line in lines:
            path, _, body = line.partition(b"\t")
            orjson.loads(await post(path.decode(), body))["messages"][0]["id"]

    await asyncio.gather(*(worker() for _ in range(connections)))


def main() -> None:
    """Post with the given client."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--client", choices=["httpx", "httpx-aiohttp", "aiohttp"], required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--posts", type=Path, required=True)
    parser.add_argument("--connections", type=int, required=True)
    given = parser.parse_args()
    lines = iter(given.posts.read_bytes().splitlines())
    asyncio.run(run(given.client, given.url, lines, given.connections))


if __name__ == "__main__":
    main()
