"""The cases of the ingress: sizes of bodies, many connections, half load, and a slow broker."""

from __future__ import annotations

import asyncio
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import psutil

from bench.children import accepts, child, free_port, process_argv, wait_until
from bench.contest import Arena, Case, Contest, Contestant, Run
from bench.cores import apart
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
SMOKE_SHARE = 1 / 300


@dataclass(frozen=True, slots=True)
class Posting:
    """What is posted. `half_load`: after a run at full speed, a second one at half of its rate is measured."""

    requests: int
    statuses: int = 1
    connections: int = 256
    half_load: bool = False
    broker_pauses: bool = False
    """Whether the broker is frozen for 50 ms of every 100 ms."""
    shares_cores: bool = False
    """Whether server, load and Kafka share all cores, because one core is too few for the server."""


WARM_UP = Posting(40_000)
"""Each server has handled this load before it is measured. Kafka's first requests take several times as long."""


@dataclass(frozen=True, slots=True)
class Served:
    """A server that runs."""

    port: int
    pids: tuple[int, ...]
    settings: Settings | None
    """The topics that it writes; None: it stores nothing."""
    is_bundled: bool = False
    share: float = 1.0
    """The share of the requests that it gets: a slow server needs as long for fewer."""


RunPosting = Callable[[Posting], Run]


@contextmanager
def _ours(arena: Arena, processes: int = 1) -> Iterator[RunPosting]:
    settings, port, log = _topic(arena), free_port(), arena.folder / f"ingress-{processes}.log"
    environment = {
        "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": arena.kafka,
        "CAMPAIGNS_DATABASE_URL": "postgresql://127.0.0.1:1/none",
        "CAMPAIGNS_TOPIC_PREFIX": settings.topic_prefix,
        "CAMPAIGNS_WEBHOOK_APP_SECRETS": SECRET.decode(),
        "CAMPAIGNS_INGRESS_PORT": str(port),
        "CAMPAIGNS_INGRESS_PORT_SHARED": str(processes > 1).lower(),
    }
    with ExitStack() as ending:
        argv = process_argv("producers.ingress.process")
        running = [ending.enter_context(child(argv, log, environment)) for _ in range(processes)]
        for each in running:
            wait_until(partial(_listens, each.pid, port), each, log)
        wait_until(lambda: _is_ready(port), running[0], log)
        yield _warm(arena, Served(port, tuple(each.pid for each in running), settings, is_bundled=True))


@contextmanager
def _bare(arena: Arena) -> Iterator[RunPosting]:
    port, log = free_port(), arena.folder / "bare.log"
    with child([sys.executable, HERE / "bare.py", "--port", str(port)], log) as running:
        wait_until(lambda: accepts(port), running, log)
        yield _warm(arena, Served(port, (running.pid,), None))


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
        yield _warm(arena, Served(port, (running.pid,), settings, share=0.2))


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


def _listens(pid: int, port: int) -> bool:
    sockets = psutil.Process(pid).net_connections("tcp")
    return any(each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in sockets)


def _warm(arena: Arena, served: Served) -> RunPosting:
    run = partial(_run, arena, served)
    if not arena.is_smoke:
        run(WARM_UP)
    return run


def _run(arena: Arena, served: Served, posting: Posting) -> Run:
    smoke = max(SMOKE_REQUESTS_MIN, int(posting.requests * SMOKE_SHARE))
    count = int(arena.items(posting.requests, smoke) * served.share)
    raw = bodies(count, posting.statuses, arena.prefix())
    requests = [request(body, served.port) for body in raw]
    load = HttpLoad("127.0.0.1", served.port, posting.connections)
    before = _ranges(served.settings)
    with ExitStack() as ending:
        if not posting.shares_cores:
            ending.enter_context(apart(served.pids, [os.getpid(), *([arena.kafka_pid] if arena.kafka_pid else [])]))
        if posting.half_load:
            warm = post_all(load, requests)
            load = replace(load, rate=warm.requests / warm.seconds / 2)
            before = _ranges(served.settings)
        ending.enter_context(paused(arena.kafka_pid if posting.broker_pauses else None))
        usages = [ending.enter_context(measured(pid)) for pid in served.pids]
        kafka = ending.enter_context(measured(arena.kafka_pid))
        own = os.times()
        answers = post_all(load, requests)
        own_s = sum(os.times()[:2]) - sum(own[:2])
    stored = _stored(served, before)
    right = sum(raw[position] in stored for position in answers.accepted)
    more = {
        "p50 ms": answers.p50_ms,
        "p99 ms": answers.p99_ms,
        "Kafka µs": kafka.cpu_s / count * 1e6,
        "load µs": own_s / count * 1e6,
    }
    cpu_s, memory_mb = sum(usage.cpu_s for usage in usages), sum(usage.memory_mb for usage in usages)
    return Run(count, answers.seconds, cpu_s, memory_mb, right / count, more)


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
TWO = "two ingresses on one port"
ONE_CORE = frozenset({TWO})
INGRESS = Contest(
    "ingress",
    "Ingress",
    "Signed webhooks are posted over keep-alive connections, each with one request in flight. An answer 200 means that "
    "Kafka has acknowledged the body with acks=all. `items/s` are webhooks. A result is right if the body was answered "
    "with 200 and is in the topic. The server has one core, and Kafka and the load generator share the other, if no "
    "case says otherwise; every contestant has handled 40,000 webhooks before (FastAPI a fifth, here and in each case, "
    "because it needs as long for them). `Kafka µs` and `load µs` are the CPU of Kafka and of the load generator for a "
    "webhook, so neither is the limit: the other core does both.",
    Contestant(
        "campaign-streams",
        "One process: llhttp on uvloop. Bodies are group-committed, and each is answered after acks=all.",
        _ours,
    ),
    (
        Contestant(
            CEILING,
            "The same HTTP server on the same loop, with a handler that checks the signature and answers. It stores "
            "nothing, so none of its results is right: it is the ceiling, and no peer.",
            _bare,
        ),
        Contestant(
            PEER,
            "uvicorn with uvloop and httptools, no access log. One record for each body, lz4, `send_and_wait` with "
            "acks=all.",
            _fastapi,
            environment="fastapi",
        ),
        Contestant(
            TWO,
            "Two processes of the product with `CAMPAIGNS_INGRESS_PORT_SHARED`.",
            partial(_ours, processes=2),
        ),
    ),
    (
        Case("1 status a body, 256 connections", Posting(40_000), without=ONE_CORE),
        Case("1 status a body, 64 connections", Posting(40_000, connections=64), ONE_CORE, is_in_smoke=False),
        Case("1 status a body, 1,000 connections", Posting(40_000, connections=1000), ONE_CORE, is_in_smoke=False),
        Case("half of its own full load", Posting(30_000, half_load=True), ONE_CORE, is_in_smoke=False),
        Case(
            "a broker that is frozen for 50 ms of every 100 ms",
            Posting(15_000, broker_pauses=True),
            ONE_CORE | {CEILING},
        ),
        Case("10 statuses a body", Posting(15_000, statuses=10), ONE_CORE, is_in_smoke=False),
        Case("1,000 statuses a body (340 KB), 16 connections", Posting(600, statuses=1000, connections=16), ONE_CORE),
        Case(
            "all cores for server, Kafka and load",
            Posting(40_000, shares_cores=True),
            frozenset({PEER, CEILING}),
        ),
    ),
    (
        "TLS and a proxy in front, which every installation has and which cost all contestants the same.",
        "Several brokers: a cluster acknowledges later than the one broker here.",
        "Receivers in other languages.",
        "How two processes scale on a machine with more cores: here the load and Kafka need what the second one would.",
    ),
)
