"""The cases of the ingress: sizes of bodies, many connections, half load, and a slow broker."""

from __future__ import annotations

import asyncio
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bench.children import accepts, child, free_port, process_argv, wait_until
from bench.contest import Arena, Case, Contest, Contestant, Run
from bench.environments import python_of
from bench.ingress.load import HttpLoad, post_all
from bench.ingress.posts import SECRET, bodies, request
from bench.pauses import paused
from bench.usage import measured
from runtime.settings import Settings
from schemas.bundles import decode_bundle
from schemas.places import Ranges
from schemas.topics import BY_NAME, Topic
from topics.apply import apply
from topics.scan import find_ranges, scan

HERE = Path(__file__).parent
SMOKE_REQUESTS_MIN = 20
SMOKE_SHARE = 1 / 150


@dataclass(frozen=True, slots=True)
class Posting:
    """What is posted. `half_load`: after a run at full speed, a second one at half of its rate is measured."""

    requests: int
    statuses: int = 1
    connections: int = 64
    half_load: bool = False
    broker_pauses: bool = False
    """Whether the broker is frozen for 50 ms of every 100 ms."""


@dataclass(frozen=True, slots=True)
class Served:
    """A server that runs."""

    port: int
    pid: int
    settings: Settings | None
    """The topics that it writes; None: it stores nothing."""
    is_bundled: bool = False
    share: float = 1.0
    """The share of the requests that it gets: a slow server needs as long for fewer."""


RunPosting = Callable[[Posting], Run]


@contextmanager
def _ours(arena: Arena) -> Iterator[RunPosting]:
    settings, port, log = _topic(arena), free_port(), arena.folder / "ingress.log"
    environment = {
        "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": arena.kafka,
        "CAMPAIGNS_DATABASE_URL": "postgresql://127.0.0.1:1/none",
        "CAMPAIGNS_TOPIC_PREFIX": settings.topic_prefix,
        "CAMPAIGNS_WEBHOOK_APP_SECRETS": SECRET.decode(),
        "CAMPAIGNS_INGRESS_PORT": str(port),
    }
    with child(process_argv("producers.ingress.process"), log, environment) as running:
        wait_until(lambda: _is_ready(port), running, log)
        yield partial(_run, arena, Served(port, running.pid, settings, is_bundled=True))


@contextmanager
def _bare(arena: Arena) -> Iterator[RunPosting]:
    port, log = free_port(), arena.folder / "bare.log"
    with child([sys.executable, HERE / "bare.py", "--port", str(port)], log) as running:
        wait_until(lambda: accepts(port), running, log)
        yield partial(_run, arena, Served(port, running.pid, None))


@contextmanager
def _fastapi(arena: Arena) -> Iterator[RunPosting]:
    settings, port, log = _topic(arena), free_port(), arena.folder / "fastapi.log"
    argv: list[str | Path] = [
        python_of("fastapi"),
        HERE / "fastapi_aiokafka.py",
        "--port",
        str(port),
        "--kafka",
        arena.kafka,
    ]
    argv += ["--topic", settings.topic(Topic.WEBHOOKS_RAW), "--secret", SECRET.decode()]
    with child(argv, log) as running:
        wait_until(lambda: accepts(port), running, log)
        yield partial(_run, arena, Served(port, running.pid, settings, share=0.2))


def _topic(arena: Arena) -> Settings:
    """Settings with a topic of their own, which exists."""
    settings = Settings.model_validate(
        {"kafka_bootstrap_servers": arena.kafka, "database_url": "postgresql://x", "topic_prefix": arena.prefix()}
    )
    apply(settings, [BY_NAME[Topic.WEBHOOKS_RAW]])
    return settings


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def _run(arena: Arena, served: Served, posting: Posting) -> Run:
    smoke = max(SMOKE_REQUESTS_MIN, int(posting.requests * SMOKE_SHARE))
    count = int(arena.items(posting.requests, smoke) * served.share)
    raw = bodies(count, posting.statuses, arena.prefix())
    requests = [request(body, served.port) for body in raw]
    load = HttpLoad("127.0.0.1", served.port, posting.connections)
    if posting.half_load:
        warm = post_all(load, requests)
        load = replace(load, rate=warm.requests / warm.seconds / 2)
    before = _ranges(served.settings)
    with paused(arena.kafka_pid if posting.broker_pauses else None), measured(served.pid) as usage:
        answers = post_all(load, requests)
    stored = _stored(served, before)
    right = sum(raw[position] in stored for position in answers.accepted)
    latency = {"p50 ms": answers.p50_ms, "p99 ms": answers.p99_ms}
    return Run(count, answers.seconds, usage.cpu_s, usage.memory_mb, right / count, latency)


def _ranges(settings: Settings | None) -> Ranges:
    return asyncio.run(find_ranges(settings, settings.topic(Topic.WEBHOOKS_RAW))) if settings else {}


def _stored(served: Served, before: Ranges) -> set[bytes]:
    """The bodies in the topic since then."""
    if served.settings is None:
        return set()
    now = _ranges(served.settings)
    return asyncio.run(_read(served, {partition: (before[partition][1], end) for partition, (_, end) in now.items()}))


async def _read(served: Served, ranges: Ranges) -> set[bytes]:
    assert served.settings is not None
    found: set[bytes] = set()
    async for records in scan(served.settings, served.settings.topic(Topic.WEBHOOKS_RAW), ranges):
        for record in records:
            if served.is_bundled:
                found.update(body.raw for body in decode_bundle(record.value))
            elif record.value is not None:
                found.add(record.value)
    return found


CEILING = "the same server without Kafka"
PEER = "FastAPI + aiokafka"
INGRESS = Contest(
    "ingress",
    "Ingress",
    "Signed webhooks are posted over keep-alive connections, each with one request in flight. An answer 200 means that "
    "Kafka has acknowledged the body with acks=all. `items/s` are webhooks. A result is right if the body was answered "
    "with 200 and is in the topic.",
    Contestant(
        "campaign-streams",
        "granian in one process. Bodies are group-committed, and each is answered after acks=all.",
        _ours,
    ),
    (
        Contestant(
            CEILING,
            "The same granian with a minimal ASGI app, which checks the signature and answers. It stores nothing, so "
            "none of its results is right: it is the ceiling, and no peer.",
            _bare,
        ),
        Contestant(
            PEER,
            "uvicorn with uvloop and httptools, no access log. One record for each body, lz4, `send_and_wait` with "
            "acks=all.",
            _fastapi,
            environment="fastapi",
        ),
    ),
    (
        Case("1 status a body, 64 connections", Posting(30_000)),
        Case("1 status a body, 1,000 connections", Posting(30_000, connections=1000), is_in_smoke=False),
        Case("half of its own full load", Posting(20_000, half_load=True)),
        Case(
            "a broker that is frozen for 50 ms of every 100 ms",
            Posting(10_000, broker_pauses=True),
            without=frozenset({CEILING}),
        ),
        Case("10 statuses a body, 64 connections", Posting(15_000, statuses=10), is_in_smoke=False),
        Case("1,000 statuses a body (340 KB), 16 connections", Posting(300, statuses=1000, connections=16)),
    ),
    (
        "TLS and a proxy in front, which every installation has and which cost all contestants the same.",
        "Several brokers: a cluster acknowledges later than the one broker here.",
        "Receivers in other languages.",
    ),
)
