"""The ingress as a process, over real HTTP, on a real broker."""

import asyncio
import json
import os
import random
import signal
import socket
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest
from confluent_kafka import Message
from httpx_aiohttp import AiohttpTransport

from producers.ingress.signature import sign
from runtime.settings import Settings
from schemas.bundles import decode_bundle
from schemas.topics import BY_NAME, Topic
from stack.embedded import embedded_stack
from tests.support.kafka_topics import read_until, value_of
from tests.support.processes import Process, environment, free_port, process
from tests.support.waiting import eventually
from topics.apply import apply

SECRET, OLD_SECRET = b"app-secret", b"old-secret"
PATH = "/webhooks/whatsapp"


class Ingress:
    def __init__(self, running: Process, url: str, kafka: str, topic: str) -> None:
        self.running, self.url, self.kafka, self.topic = running, url, kafka, topic

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def post(self, body: bytes, secret: bytes = SECRET) -> httpx.Response:
        return httpx.post(self.url + PATH, content=body, headers={"X-Hub-Signature-256": sign(secret, body).decode()})

    def stored(self, bodies: list[bytes]) -> list[int]:
        """The number of records with each body. Waits until every body is stored."""
        records = self.records_with(bodies)
        found = Counter(body.raw for record in records for body in decode_bundle(value_of(record)))
        return [found[body] for body in bodies]

    def records_with(self, bodies: list[bytes]) -> list[Message]:
        wanted = set(bodies)

        def is_enough(records: list[Message]) -> bool:
            return wanted <= {body.raw for record in records for body in decode_bundle(record.value())}

        return read_until(self.kafka, self.topic, is_enough)


def is_up(url: str, path: str) -> bool:
    try:
        return httpx.get(url + path).status_code == 200
    except httpx.TransportError:
        return False


def ingress_environment(kafka: str, prefix: str, port: int, **more: str) -> dict[str, str]:
    return environment(
        kafka,
        prefix,
        CAMPAIGNS_WEBHOOK_APP_SECRETS=f"{SECRET.decode()},{OLD_SECRET.decode()}",
        CAMPAIGNS_WEBHOOK_VERIFY_TOKEN="verify-me",
        CAMPAIGNS_INGRESS_PORT=str(port),
        **more,
    )


@pytest.fixture(scope="module")
def raw_topic(kafka: str) -> Settings:
    settings = Settings.model_validate(
        {
            "kafka_bootstrap_servers": kafka,
            "database_url": "postgresql://x",
            "topic_prefix": f"t{uuid.uuid4().hex[:10]}.",
        }
    )
    apply(settings, [BY_NAME[Topic.WEBHOOKS_RAW]])
    return settings


@contextmanager
def running_ingress(settings: Settings, folder: Path) -> Iterator[Ingress]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    kafka, prefix = settings.kafka_bootstrap_servers, settings.topic_prefix
    with process("producers.ingress.process", ingress_environment(kafka, prefix, port), folder) as running:
        eventually(lambda: is_up(url, "/ready"), "ingress ready")
        yield Ingress(running, url, kafka, settings.topic(Topic.WEBHOOKS_RAW))


@pytest.fixture(scope="module")
def ingress(raw_topic: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingress]:
    """One ingress for all tests. The content distinguishes the bodies of different tests."""
    with running_ingress(raw_topic, tmp_path_factory.mktemp("ingress")) as ingress:
        yield ingress


def test_a_genuine_body_is_stored_whatever_its_bytes_are(ingress: Ingress) -> None:
    strange = [
        b"",
        b"no json",
        b"[1]",
        b"\xef\xbb\xbf{}",
        b'{"a": "\\ud83c"}',
        b"\xff\xfe",
        b"[" * 3000,
        b'{"n": 1e400}',
    ]
    assert [ingress.post(body).status_code for body in strange] == [200] * len(strange)
    assert min(ingress.stored(strange)) >= 1


def test_a_genuine_body_is_answered_when_it_is_stored_byte_for_byte(ingress: Ingress) -> None:
    spaced, rotated = b'{"object": "whatsapp_business_account",  "entry": []}', b'{"signed": "with the old secret"}'
    assert ingress.post(spaced).status_code == 200
    assert ingress.post(rotated, OLD_SECRET).status_code == 200
    assert ingress.stored([spaced, rotated]) == [1, 1]


def test_refused_callers_and_invalid_requests(ingress: Ingress) -> None:
    url = ingress.url + PATH
    assert httpx.post(url, content=b"{}").status_code == 401
    assert ingress.post(b"{}", b"wrong").status_code == 403
    assert ingress.post(b" " * 3_600_000).status_code == 413
    assert httpx.put(url, content=b"{}").status_code == 405
    assert httpx.get(ingress.url + "/elsewhere").status_code == 404


def test_a_large_body_without_a_genuine_signature_is_refused_and_the_connection_lives(ingress: Ingress) -> None:
    body = "é".encode() * 1_700_000
    with httpx.Client() as client:
        for headers, status in (({}, 401), ({"X-Hub-Signature-256": sign(b"wrong", body).decode()}, 403)):
            assert client.post(ingress.url + PATH, content=body, headers=headers).status_code == status
        assert client.get(ingress.url + "/health").status_code == 200


HOSTILE_REQUESTS = {
    "chunk size that is no number": (b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}", 400),
    "two lengths": (b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}", 400),
    "negative length": (b"Content-Length: -1\r\n\r\n{}", 400),
    "endless header": (b"X-Noise: " + b"a" * 1_000_000 + b"\r\n\r\n", 431),
    "control character": (b"X-Noise: \0\r\nContent-Length: 2\r\n\r\n{}", 400),
    "two signatures": (b"X-Hub-Signature-256: sha256=00\r\nContent-Length: 2\r\n\r\n{}", 401),
    "chunks": (b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", 200),
    "two framings": (b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 200),
}
"""Headers and body after a genuine signature of `{}`, and the status of the answer. Chunks win over a length (RFC 9112,
section 6.3), and the connection is closed."""


@pytest.mark.parametrize("name", HOSTILE_REQUESTS)
def test_a_malformed_request_is_answered_and_harms_no_other_one(ingress: Ingress, name: str) -> None:
    rest, status = HOSTILE_REQUESTS[name]
    with socket.create_connection(("127.0.0.1", ingress.port), timeout=10) as connection:
        start = b"POST /webhooks/whatsapp HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: " + sign(SECRET, b"{}") + b"\r\n"
        with suppress(ConnectionResetError, BrokenPipeError):  # the answer may come before the whole request is sent
            connection.sendall(start + rest)
        assert connection.recv(4096).startswith(b"HTTP/1.1 %d " % status)
    assert ingress.post(b'{"entry": []}').status_code == 200


def test_idle_connections_do_not_keep_webhooks_out(ingress: Ingress) -> None:
    with ExitStack() as idle:
        for _ in range(1_500):
            connection = idle.enter_context(socket.create_connection(("127.0.0.1", ingress.port), timeout=10))
            connection.sendall(b"POST /webhooks/whatsapp HTTP/1.1\r\nHost: x\r\n")
        assert ingress.post(b'{"entry": []}').status_code == 200


def test_only_the_configured_token_verifies_the_callback_address(ingress: Ingress) -> None:
    query = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "verify-me"}
    answer = httpx.get(ingress.url + PATH, params=query)
    assert (answer.status_code, answer.text) == (200, "1158201444")
    for wrong in ({"hub.verify_token": "other"}, {"hub.verify_token": ""}, {"hub.mode": "unsubscribe"}):
        assert httpx.get(ingress.url + PATH, params=query | wrong).status_code == 403


async def test_a_burst_shares_bundles_and_stores_every_body_once(ingress: Ingress) -> None:
    bodies = [json.dumps({"entry": [], "n": n}).encode() for n in range(500)]

    async def post(client: httpx.AsyncClient, body: bytes) -> int:
        headers = {"X-Hub-Signature-256": sign(SECRET, body).decode()}
        return (await client.post(ingress.url + PATH, content=body, headers=headers)).status_code

    async with httpx.AsyncClient(transport=AiohttpTransport(), timeout=20) as client:
        answers = await asyncio.gather(*(post(client, body) for body in bodies))
    assert set(answers) == {200}
    assert set(ingress.stored(bodies)) == {1}
    bundles = [decode_bundle(value_of(record)) for record in ingress.records_with(bodies)]
    assert max(map(len, bundles)) > 1


def test_a_body_near_the_limit_has_its_own_bundle(ingress: Ingress) -> None:
    noise = random.Random(1).randbytes(1_600_000).hex()  # does not compress, so that the broker sees its size
    body = json.dumps({"entry": [], "noise": noise}).encode()
    assert ingress.post(body).status_code == 200
    bundles = [decode_bundle(value_of(record)) for record in ingress.records_with([body])]
    assert [len(bundle) for bundle in bundles if body in [stored.raw for stored in bundle]] == [1]


def test_sigterm_ends_the_process_in_order_and_no_secret_is_logged(raw_topic: Settings, tmp_path: Path) -> None:
    with running_ingress(raw_topic, tmp_path) as ingress:
        ingress.post(b"{}", b"wrong")
        assert ingress.running.stop(signal.SIGTERM) == 0
        assert "signature_mismatch" in ingress.running.log
        assert SECRET.decode() not in ingress.running.log


def test_without_kafka_the_answer_is_503_with_a_retry_after(topic_prefix: str, tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    quick = ingress_environment("127.0.0.1:1", topic_prefix, port, CAMPAIGNS_INGRESS_ACK_TIMEOUT_S="0.5")
    with process("producers.ingress.process", quick, tmp_path) as running:
        eventually(lambda: is_up(url, "/health"), "ingress up")
        answer = httpx.post(url + PATH, content=b"{}", headers={"X-Hub-Signature-256": sign(SECRET, b"{}").decode()})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert httpx.get(url + "/ready", timeout=10).status_code == 503
        assert running.stop() == 0


def test_the_ingress_does_not_start_without_a_secret(kafka: str, topic_prefix: str, tmp_path: Path) -> None:
    with process("producers.ingress.process", environment(kafka, topic_prefix), tmp_path) as running:
        assert running.wait() == 64
        assert "CAMPAIGNS_WEBHOOK_APP_SECRETS" in running.log


def listens(running: Process, port: int) -> bool:
    sockets = psutil.Process(running.child.pid).net_connections("tcp")
    return any(each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in sockets)


def test_processes_share_a_port_only_if_the_setting_says_so(raw_topic: Settings, tmp_path: Path) -> None:
    port, kafka, prefix = free_port(), raw_topic.kafka_bootstrap_servers, raw_topic.topic_prefix
    alone = ingress_environment(kafka, prefix, port)
    shared = {**alone, "CAMPAIGNS_INGRESS_PORT_SHARED": "true"}
    with (
        process("producers.ingress.process", shared, tmp_path) as first,
        process("producers.ingress.process", shared, tmp_path) as second,
    ):
        eventually(lambda: listens(first, port) and listens(second, port), "both listen")
        with process("producers.ingress.process", alone, tmp_path) as third:
            assert third.wait() == 75
        assert first.stop() == 0
        ingress = Ingress(second, f"http://127.0.0.1:{port}", kafka, raw_topic.topic(Topic.WEBHOOKS_RAW))
        assert ingress.post(b'{"taken": "by the second process"}').status_code == 200
        assert second.stop() == 0


def test_during_an_outage_the_answer_is_503_and_every_200_is_stored(tmp_path: Path) -> None:
    with embedded_stack(postgres=False) as stack:
        assert stack.kafka_pid is not None
        kafka = stack.kafka_bootstrap_servers
        settings = Settings.model_validate({"kafka_bootstrap_servers": kafka, "database_url": "postgresql://x"})
        apply(settings, [BY_NAME[Topic.WEBHOOKS_RAW]])
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        given = ingress_environment(kafka, "", port, CAMPAIGNS_INGRESS_ACK_TIMEOUT_S="1")
        with process("producers.ingress.process", given, tmp_path) as running:
            eventually(lambda: is_up(url, "/ready"), "ingress ready")
            ingress = Ingress(running, url, kafka, settings.topic(Topic.WEBHOOKS_RAW))
            before, during, after = (json.dumps({"entry": [], "n": n}).encode() for n in range(3))
            assert ingress.post(before).status_code == 200
            os.kill(stack.kafka_pid, signal.SIGSTOP)
            try:
                assert ingress.post(during).status_code == 503
            finally:
                os.kill(stack.kafka_pid, signal.SIGCONT)
            eventually(lambda: ingress.post(after).status_code == 200, "taken again after the outage")
            assert min(ingress.stored([before, after])) >= 1
            assert running.stop() == 0
