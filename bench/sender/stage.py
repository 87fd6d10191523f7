"""The cases of the sender: as fast as it can, at Meta's highest rate for a number, and with several numbers."""

from __future__ import annotations

import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import psycopg

from bench.children import accepts, child, free_port, process_argv, wait_until
from bench.contest import Arena, Case, Contest, Contestant, Run
from bench.sender.verdict import ReceivedPost, double_sends, late_p99_ms, published, right_share, settled
from bench.sender.world import (
    DEPLOYMENT,
    SECRET,
    TOKEN,
    Jobs,
    callback_of,
    create_rows,
    create_topics,
    start_of_now,
)
from bench.usage import Usage, measured
from bench.worlds import connected, environment_of, own_database
from runtime.settings import Settings
from streams.sender.cloud_api import message

HERE = Path(__file__).parent
VERSION = "v25.0"
WARM_SHARE = 0.1
"""The share of the posts after which the measurement begins: the start of a process is not measured."""
POLL_S = 0.05
DEADLINE_S = 240.0
SMOKE_MESSAGES = 100
UNLIMITED = 5000
"""The highest rate that the setting takes: more than any sender here reaches."""
Database = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Sending:
    """What is sent. `rate`: the limit of each number, in messages a second. `window`: posts in flight at most."""

    messages: int
    rate: int = UNLIMITED
    numbers: int = 1
    window: int = 1000


@dataclass(frozen=True, slots=True)
class StandIn:
    """The stand-in of the Cloud API, which runs."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def count(self) -> int:
        """Posts so far."""
        return int(self._get("count"))

    def posts(self) -> list[ReceivedPost]:
        """All posts."""
        return [ReceivedPost(*each) for each in orjson.loads(self._get("posts"))]

    def _get(self, name: str) -> bytes:
        with urllib.request.urlopen(f"{self.url}/{name}", timeout=30) as answer:  # noqa: S310 - our own address
            content: bytes = answer.read()
            return content


@dataclass(frozen=True, slots=True)
class BareClient:
    """An HTTP client that only posts. `connections`: it gets no more, because it slows down with more."""

    client: str
    connections: int = 2000
    share: float = 1.0
    """The share of the messages that it gets: a slow client needs as long for fewer."""

    @contextmanager
    def opened(self, arena: Arena) -> Iterator[Callable[[Sending], Run]]:
        """Yield the function that posts once."""
        yield partial(self._run, arena)

    def _run(self, arena: Arena, sending: Sending) -> Run:
        count = max(10, int(arena.items(sending.messages, SMOKE_MESSAGES) * self.share))
        posts, log = arena.folder / "posts", arena.folder / "bare.log"
        with posts.open("wb") as lines:
            for job in Jobs(count, sending.numbers, start_of_now()).all():
                body = orjson.dumps(message(job, callback_of(job)))
                lines.write(f"/{VERSION}/{job.phone_number_id}/messages\t".encode() + body + b"\n")
        with _stand_in(arena) as api:
            argv: list[str | Path] = [sys.executable, HERE / "bare.py", "--client", self.client, "--url", api.url]
            argv += ["--posts", posts, "--connections", str(min(self.connections, sending.window))]
            with child(argv, log) as running:
                sent = _until_sent(api, running.pid, count, lambda: running.poll() is None, {})
        return sent.run(right=0.0)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run of a contestant, after its warm-up."""

    posts: Sequence[ReceivedPost]
    first: int
    """Posts of the warm-up."""
    client: Usage
    others: Mapping[str, Usage]
    """What the servers used, by the heading of the column."""

    def run(self, right: float, more: Mapping[str, float] | None = None) -> Run:
        """The run. Its rate is that of the posts that arrived."""
        times = sorted(post.at for post in self.posts)[self.first :]
        count, seconds = len(times) - 1, times[-1] - times[0]
        by_message = {name: usage.cpu_s / count * 1e6 for name, usage in self.others.items()}
        return Run(count, seconds, self.client.cpu_s, self.client.memory_mb, right, {**by_message, **(more or {})})


def _until_sent(
    api: StandIn, pid: int, total: int, is_running: Callable[[], bool], servers: Mapping[str, int | None]
) -> Measurement:
    """Measure from the end of the warm-up until all posts have arrived and `is_running` is false, or the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while api.count() < total * WARM_SHARE and time.monotonic() < deadline:
        time.sleep(POLL_S)  # the progress shows at the stand-in only
    with ExitStack() as measuring:
        first = min(api.count(), int(total * 0.5))  # a tiny input may be done at the first look
        client = measuring.enter_context(measured(pid))
        others = {f"{name} us": measuring.enter_context(measured(each)) for name, each in servers.items()}
        while (api.count() < total or is_running()) and time.monotonic() < deadline:
            time.sleep(POLL_S)  # as above
    return Measurement(api.posts(), first, client, others)


@contextmanager
def _sender(arena: Arena) -> Iterator[Callable[[Sending], Run]]:
    yield partial(_send, arena)


def _send(arena: Arena, sending: Sending) -> Run:
    count = arena.items(sending.messages, SMOKE_MESSAGES)
    jobs = Jobs(count, sending.numbers, start_of_now())
    with own_database(arena) as settings, _stand_in(arena) as api, connected(settings) as connection:
        create_rows(settings.database_url.get_secret_value(), jobs)
        create_topics(settings, jobs)
        log = arena.folder / f"{settings.topic_prefix}sender.log"
        with child(process_argv("streams.sender.process"), log, _environment(settings, sending, api)) as running:
            wait_until(lambda: api.count() > 0, running, log)
            servers = {"Postgres": arena.postgres_pid, "Kafka": arena.kafka_pid}
            sent = _until_sent(api, running.pid, count, lambda: _has_unpublished(connection), servers)
        expected = {callback_of(job): str(job.recipient_id) for job in jobs.all()}
        right = right_share(expected, sent.posts, published(settings), settled(connection))
    late = {"late p99 ms": late_p99_ms(sent.posts[sent.first :], sending.rate)} if sending.rate < UNLIMITED else {}
    return sent.run(right, {**late, "doubles": double_sends(sent.posts)})


def _has_unpublished(connection: Database) -> bool:
    """Whether an attempt is not settled, or its event not published. The index holds only those, so this is cheap."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM releases) OR EXISTS (SELECT FROM send_ledger WHERE outcome IS NULL)"
        " OR EXISTS (SELECT FROM send_ledger WHERE outcome IS NOT NULL AND published_at IS NULL)"
    ).fetchone()
    return row is None or bool(row[0])


@contextmanager
def _stand_in(arena: Arena) -> Iterator[StandIn]:
    port, log = free_port(), arena.folder / "stand_in.log"
    with child([sys.executable, HERE / "stand_in.py", "--port", str(port)], log) as running:
        wait_until(lambda: accepts(port), running, log)
        yield StandIn(port, running.pid)


def _environment(settings: Settings, sending: Sending, api: StandIn) -> dict[str, str]:
    return environment_of(
        settings,
        DEPLOYMENT=DEPLOYMENT,
        CALLBACK_SECRET=SECRET,
        WHATSAPP_API_URL=api.url,
        WHATSAPP_ACCESS_TOKEN=TOKEN,
        WHATSAPP_MPS=str(sending.rate),
        SEND_WINDOW=str(sending.window),
    )


HTTPX = "httpx on aiohttp, bare"
AIOHTTP = "aiohttp, bare"
PLAIN = "httpx, bare"
EVERY_PEER = frozenset({HTTPX, AIOHTTP, PLAIN})
SENDER = Contest(
    "sender",
    "Sender",
    "A topic full of jobs is sent to a stand-in for the Cloud API, which answers after 50 to 250 ms. It can do "
    "15,000 posts a second. `items/s` are messages. A result is right if the message was posted once, "
    "its acceptance is in the topic with the right id, and its ledger row is settled and published. CPU is that of the "
    "client; the servers have columns of their own, in microseconds a message. `late`: behind the plan of the number's "
    "rate. `doubles`: messages that were posted twice.",
    Contestant(
        "campaign-streams",
        "One sender process with its claims, its ledger and its events, and as many posts in flight as the peers.",
        _sender,
    ),
    (
        Contestant(
            HTTPX,
            "`httpx.AsyncClient` on aiohttp's transport, the same bodies, 1,000 posts in flight. It reads files and "
            "keeps no result, so none of its results is right: it is the ceiling, and no peer.",
            BareClient("httpx-aiohttp").opened,
        ),
        Contestant(AIOHTTP, "`aiohttp.ClientSession`, otherwise the same.", BareClient("aiohttp").opened),
        Contestant(
            PLAIN,
            "`httpx.AsyncClient` on its own transport, otherwise the same, but with 50 connections, because it is "
            "slower with more.",
            BareClient("httpx", connections=50, share=0.1).opened,
        ),
    ),
    (
        Case("as fast as it can", Sending(12_000)),
        Case(
            "1,000 messages a second for a minute, once",
            Sending(67_000, rate=1000, window=512),
            without=EVERY_PEER,
            is_in_smoke=False,
            rounds_max=1,
        ),
        Case(
            "10 numbers with 80 messages a second each, once",
            Sending(8_000, rate=80, numbers=10, window=512),
            without=EVERY_PEER,
            is_in_smoke=False,
            rounds_max=1,
        ),
    ),
    (
        "TLS, which every installation has and which costs all contestants the same.",
        "Answers with errors, and throttling.",
        "A Postgres that writes its log through to the disk: the one here is thrown away and does not wait for it.",
    ),
    needs_postgres=True,
)
