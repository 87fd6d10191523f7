"""A connection of the simulator serves plain sends itself and gives the rest to aiohttp's server. No client sees it."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import orjson
import pytest

from simulator.config import AnswerConfig, Delay, Rule
from tests.contract.simulator_client import Bench, bench, quick, template_message, until

PATH = b"/v25.0/106540352242922/messages"
BODY = orjson.dumps(template_message("4915112345678", "1.a"))
LONG = orjson.dumps({**template_message("4915112345678"), "note": "x" * (1 << 20)})
READ = orjson.dumps({"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.X"})
UNLIKE = re.compile(rb"(Date|Server|x-fb-trace-id): [^\r]*\r\n|wamid\.[\w=+/]+|\"fbtrace_id\":\"[^\"]*\"")
"""What differs between two answers of the same kind, and aiohttp's name."""
UNLIKE_KEYS = ("id", "wamid", "nth_post", "received_at", "answered_at", "statuses")
SLOW = AnswerConfig(latency=Delay(median_s=30.0, p99_s=30.0))


def request(body: bytes = BODY, *headers: bytes, line: bytes = b"POST " + PATH + b" HTTP/1.1") -> bytes:
    length = b"" if b"Transfer-Encoding: chunked" in headers else b"Content-Length: %d\r\n" % len(body)
    more = b"".join(header + b"\r\n" for header in headers)
    return line + b"\r\nHost: x\r\nAuthorization: Bearer token\r\n" + length + more + b"\r\n" + body


def by_general(raw: bytes) -> bytes:
    """The same request for aiohttp's server, which has all paths with a query."""
    return raw.replace(PATH[6:] + b" ", PATH[6:] + b"?by=general ", 1)


class Talk:
    """A connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def answers(self, count: int) -> list[bytes]:
        """The next answers."""
        return [await self._answer() for _ in range(count)]

    async def rest(self) -> bytes:
        """What comes until the end of the connection."""
        async with asyncio.timeout(10):
            rest = await self.reader.read()
        self.writer.close()
        return rest

    async def _answer(self) -> bytes:
        async with asyncio.timeout(10):
            head = await self.reader.readuntil(b"\r\n\r\n")
            found = re.search(rb"(?i)content-length: (\d+)", head)
            return head + await self.reader.readexactly(int(found[1]) if found else 0)


async def talk(it: Bench, *parts: bytes) -> Talk:
    """Send these parts, each in a write of its own that the simulator has read before the next one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(it.url.rpartition(":")[2]))
    for part in parts:
        writer.write(part)
        await writer.drain()
        await it.state()  # a request later, so the loop of the simulator has read the part
    return Talk(reader, writer)


async def answer_to(it: Bench, *parts: bytes) -> bytes:
    """The first answer on a new connection, without what differs each time."""
    one = await talk(it, *parts)
    (answer,) = await one.answers(1)
    one.writer.close()
    return UNLIKE.sub(b"", answer)


def handled_by_general(it: Bench) -> int:
    """The requests that aiohttp's server has had."""
    runner: Any = it.simulator._runner
    return int(runner.server.requests_count)


@pytest.mark.parametrize(
    ("raw", "status", "is_plain"),
    [
        (request(), 200, True),
        (request(BODY, b"Connection: keep-alive"), 200, True),
        (request(b"{"), 400, True),
        (request(b""), 400, True),
        (request(BODY.replace(b"4915112345678", b"4915112345699")), 502, True),
        (request().replace(b"Bearer token", b"Bearer "), 401, True),
        (request().replace(b"/v25.0", b"/v3.0"), 400, True),
        (request(READ), 200, False),
        (request(BODY, b"Connection: close"), 200, False),
        (request(BODY, b"Expect: nothing"), 417, False),
        (request(LONG), 413, False),
        (request(line=b"POST " + PATH + b" HTTP/1.0"), 200, False),
        (request(line=b"GET " + PATH + b" HTTP/1.1"), 400, False),
        (request(line=b"PATCH /_simulator/state HTTP/1.1"), 400, False),
        (request(b"5\r\n{\"a\":\r\n2\r\n1}\r\n0\r\n\r\n", b"Transfer-Encoding: chunked"), 400, False),
        (request(BODY, b"X-Long: " + b"x" * 9000), 400, False),
        (b"nonsense\r\n\r\n", 400, False),
    ],
)  # fmt: skip
async def test_both_ways_give_the_same_answer(raw: bytes, status: int, is_plain: bool) -> None:
    async with bench(quick(rules=(Rule(suffix="99", outcome="bad_gateway"),))) as it:
        before = handled_by_general(it)
        answer = await answer_to(it, raw)
        assert answer.startswith((b"HTTP/1.1 %d " % status, b"HTTP/1.0 %d " % status))
        assert handled_by_general(it) - before - 1 == (0 if is_plain else 1)  # one is the state, which `talk` reads
        if is_plain:
            assert answer == await answer_to(it, by_general(raw))
            one, other = [comparable(entry) for entry in await it.ledger()]
            assert one == other


def comparable(entry: dict[str, Any]) -> dict[str, Any]:
    """What is equal in the entries of two posts of a message."""
    return {key: one for key, one in entry.items() if key not in UNLIKE_KEYS}


@pytest.mark.parametrize("way", [bytes, by_general])
async def test_requests_may_come_in_parts_or_together(way: Any) -> None:
    async with bench(quick(pair_limit=None)) as it:
        raw = way(request())
        middle, end = len(raw) - 20, len(raw) - len(BODY)
        for parts in ((raw[:middle], raw[middle:]), (raw[:end], raw[end:]), (raw[:30], raw[30:])):
            assert (await answer_to(it, *parts)).startswith(b"HTTP/1.1 200 ")
        one = await talk(it, raw * 300 + raw[:-1])
        assert all(answer.startswith(b"HTTP/1.1 200 ") for answer in await one.answers(300))
        assert len(it.simulator.ledger.entries) == 303
        one.writer.write(raw[-1:] + request(READ) + raw + request(line=b"GET /_simulator/state HTTP/1.1") + raw)
        assert [answer[9:12] for answer in await one.answers(5)] == [b"200"] * 5
        one.writer.close()
        assert len(it.simulator.ledger.entries) == 306


@pytest.mark.parametrize("way", [bytes, by_general])
async def test_a_request_without_its_whole_body_does_not_count(way: Any) -> None:
    async with bench(quick(answers=SLOW)) as it:
        one = await talk(it, way(request())[:-1])
        one.writer.close()
        two = await talk(it, way(request()) * 2)
        await until(lambda: len(it.simulator.ledger.entries) == 1)
        two.writer.write_eof()  # a client that sends no more has left, for aiohttp's server too
        assert await two.rest() == b""
        await until(lambda: it.simulator.ledger.entries[0].outcome == "abandoned")
        assert (len(it.simulator.ledger.entries), it.simulator.ledger.entries[0].accepted) == (1, True)


@pytest.mark.parametrize("way", [bytes, by_general])
async def test_a_stop_answers_held_requests_and_abandons_slow_ones(way: Any) -> None:
    rules = (Rule(suffix="1", latency_s=30.0), Rule(suffix="2", outcome="hang"))
    async with bench(quick(rules=rules)) as it:
        slow, hanging = (BODY.replace(b"4915112345678", b"491511234567" + digit) for digit in (b"1", b"2"))
        talks = [await talk(it, way(request(body))) for body in (slow, hanging)]
        await it.control("hold", seconds=60)
        talks += [await talk(it, way(request())), await talk(it, b""), await talk(it, way(request())[:-1])]
        await until(lambda: len(it.simulator.ledger.unanswered) == 3)
        await it.simulator.stop()
        assert [(await one.rest())[9:12] for one in talks] == [b"", b"", b"200", b"", b""]
        outcomes = [entry.outcome for entry in it.simulator.ledger.entries]
        assert outcomes == ["abandoned", "cut", "answered"]


@pytest.mark.parametrize("way", [bytes, by_general])
async def test_a_mistake_of_the_simulator_is_answered_with_500_and_logged(
    way: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with bench(quick()) as it:
        monkeypatch.setattr(it.simulator._steps, "answer", lambda _planned: 1 // 0)
        one = await talk(it, way(request()))
        answer = await one.rest()
        assert answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
        assert answer.endswith(b"500 Internal Server Error\n\nServer got itself in trouble")
    assert "ZeroDivisionError" in caplog.text
