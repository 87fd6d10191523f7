"""The answers of the ingress without a socket, for cases that are hard to cause over a real connection."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from producers.ingress.app import IngressApp, IngressOptions
from producers.ingress.pending_bytes import PendingBytes
from producers.ingress.signature import SignatureCheck, check, sign
from runtime import metrics
from schemas.bundles import Body
from topics.publisher import PublishFailed

SECRET = b"s"


class Committed:
    def __init__(self, failure: Exception | None = None) -> None:
        self.bodies: list[Body] = []
        self._failure = failure

    async def __call__(self, body: Body) -> None:
        if self._failure is not None:
            raise self._failure
        self.bodies.append(body)


async def ready() -> bool:
    return True


def pending(bytes_max: int, large_share: float = 1.0) -> PendingBytes:
    return PendingBytes(bytes_max, metrics.INGRESS_PENDING_BYTES, large_share)


def options(committed: Committed | None = None, **changed: Any) -> IngressOptions:
    made = IngressOptions(
        app_secrets=(SECRET,),
        verify_token=b"token",
        body_bytes_max=1000,
        unverified=pending(10_000),
        pending=pending(10_000),
        body_timeout_s=5.0,
        commit=committed or Committed(),
        is_ready=ready,
    )
    return replace(made, **changed)


async def request(
    app: IngressApp,
    *chunks: bytes,
    method: str = "POST",
    path: str = "/webhooks/whatsapp",
    query: bytes = b"",
    headers: dict[bytes, bytes] | None = None,
    receive: Callable[[], Awaitable[dict[str, Any]]] | None = None,
) -> tuple[int, dict[bytes, bytes], bytes]:
    sent: list[dict[str, Any]] = []
    left = list(chunks)

    async def from_chunks() -> dict[str, Any]:
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    given = headers if headers is not None else {b"x-hub-signature-256": sign(SECRET, b"".join(chunks))}
    scope = {"type": "http", "path": path, "method": method, "query_string": query, "headers": list(given.items())}
    await app(scope, receive or from_chunks, send)
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


async def test_a_body_in_pieces_is_put_together_and_stamped() -> None:
    committed = Committed()
    status, _, _ = await request(IngressApp(options(committed), now_us=lambda: 17), b'{"a"', b":1}")
    assert status == 200
    assert committed.bodies == [Body(17, b'{"a":1}')]


async def test_a_body_that_grows_beyond_the_limit_is_refused() -> None:
    committed = Committed()
    status, _, _ = await request(IngressApp(options(committed)), b"x" * 600, b"x" * 600)
    assert (status, committed.bodies) == (413, [])


async def test_a_slow_client_is_disconnected() -> None:
    async def never() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    status, headers, _ = await request(IngressApp(options(body_timeout_s=0.01)), b"", receive=never)
    assert (status, headers[b"connection"]) == (408, b"close")


@pytest.mark.parametrize("budget", ["unverified", "pending"])
async def test_above_the_limit_of_a_budget_the_answer_is_503(budget: str) -> None:
    held = pending(100)
    changed: dict[str, Any] = {budget: held}
    app = IngressApp(options(**changed))
    with held.request() as take:
        assert take(99)
        status, headers, _ = await request(app, b'{"a":1}')
        assert (status, headers[b"retry-after"]) == (503, b"5")
    assert (await request(app, b'{"a":1}'))[0] == 200


async def test_bytes_are_unverified_only_until_their_signature_is_checked() -> None:
    unverified, taken = pending(100), asyncio.Event()
    stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def commit(_body: Body) -> None:
        taken.set()
        await stored

    waiting = asyncio.create_task(request(IngressApp(options(unverified=unverified, commit=commit)), b"x" * 100))
    await taken.wait()
    with unverified.request() as take:
        assert take(100)
    stored.set_result(None)
    assert (await waiting)[0] == 200


async def test_a_request_without_a_signature_is_refused_before_its_body_is_received() -> None:
    async def never() -> dict[str, Any]:
        raise AssertionError("the body was read")

    for header in ({}, {b"x-hub-signature-256": b"sha256=short"}):
        assert (await request(IngressApp(options()), headers=header, receive=never))[0] == 401


async def test_a_body_with_the_signature_of_another_secret_is_refused() -> None:
    committed = Committed()
    foreign = {b"x-hub-signature-256": sign(b"another secret", b"{}")}
    assert (await request(IngressApp(options(committed)), b"{}", headers=foreign))[0] == 403
    assert committed.bodies == []


async def test_a_body_in_pieces_with_the_signature_of_another_secret_is_refused() -> None:
    committed = Committed()
    foreign = {b"x-hub-signature-256": sign(b"another secret", b"{}")}
    assert (await request(IngressApp(options(committed)), b"{", b"}", headers=foreign))[0] == 403
    assert committed.bodies == []


SIGNED_BODIES = {
    "empty": b"",
    "half an emoji": b'{"name": "flower \\ud83c"}',
    "invalid UTF-8": b'{"name": "\xff"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a number without a value": b'{"n": 1e400}',
    "deep nesting": b"[" * 900,
    "no object": b"[1]",
    "no JSON": b"\x00\x01 <html>",
}


@pytest.mark.parametrize("body", SIGNED_BODIES.values(), ids=SIGNED_BODIES)
async def test_a_verified_body_is_stored_whatever_its_bytes_are(body: bytes) -> None:
    committed = Committed()
    assert (await request(IngressApp(options(committed)), body))[0] == 200
    assert [stored.raw for stored in committed.bodies] == [body]


async def test_a_large_body_is_verified_outside_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []

    def noting(*given: Any) -> SignatureCheck:
        threads.append(threading.current_thread().name)
        return check(*given)

    monkeypatch.setattr("producers.ingress.app.check", noting)
    wide = options(body_bytes_max=200_000, unverified=pending(200_000), pending=pending(200_000))
    for size, status in ((10, 200), (100_000, 200)):
        assert (await request(IngressApp(wide), b"x" * size))[0] == status
    assert threads[0] == threading.main_thread().name
    assert threads[1].startswith("signature-check")


async def test_a_body_that_kafka_did_not_store_is_not_acknowledged() -> None:
    status, headers, _ = await request(IngressApp(options(Committed(PublishFailed("away")))), b"{}")
    assert (status, headers[b"retry-after"]) == (503, b"5")


async def test_a_bug_while_publishing_is_not_acknowledged() -> None:
    with pytest.raises(ZeroDivisionError):
        await request(IngressApp(options(Committed(ZeroDivisionError()))), b"{}")


@pytest.mark.parametrize(
    ("query", "status", "answer"),
    [
        (b"hub.mode=subscribe&hub.verify_token=token&hub.challenge=1158201444", 200, b"1158201444"),
        (b"hub.challenge=a%26b+c&hub.mode=subscribe&hub.verify_token=%74oken", 200, b"a&b c"),
        (b"hub.mode=subscribe&hub.verify_token=token&hub.challenge=%C3%A9", 200, b"\xc3\xa9"),
        (b"hub.mode=subscribe&hub.verify_token=token", 403, b"not verified"),
        (b"hub.mode=subscribe&hub.verify_token=tok%C3%A9n&hub.challenge=1", 403, b"not verified"),
        (b"hub.mode=subscribe&hub.verify_token=other&hub.verify_token=token&hub.challenge=1", 403, b"not verified"),
        (b"hub.mode=unsubscribe&hub.verify_token=token&hub.challenge=1", 403, b"not verified"),
        (b"\xff%=&&&=%zz", 403, b"not verified"),
        (b"a&" * 100_000, 403, b"not verified"),
    ],
)
async def test_a_verification_is_answered_whatever_the_bytes_of_its_query_are(
    query: bytes, status: int, answer: bytes
) -> None:
    found, _, body = await request(IngressApp(options()), method="GET", query=query, headers={})
    assert (found, body) == (status, answer)


async def test_a_content_length_of_thousands_of_digits_is_too_large() -> None:
    headers = {b"x-hub-signature-256": sign(SECRET, b"{}"), b"content-length": b"9" * 5000}
    status, _, _ = await request(IngressApp(options()), b"{}", headers=headers)
    assert status == 413


async def test_without_a_verify_token_no_caller_is_verified() -> None:
    query = b"hub.mode=subscribe&hub.verify_token=&hub.challenge=1"
    status, _, _ = await request(IngressApp(options(verify_token=b"")), method="GET", headers={}, query=query)
    assert status == 403


async def test_metrics_are_not_served_on_the_public_address() -> None:
    assert (await request(IngressApp(options()), path="/metrics", method="GET"))[0] == 404


async def test_a_client_that_pauses_between_two_pieces_is_disconnected_and_its_bytes_are_released() -> None:
    unverified, pieces = pending(100), [{"type": "http.request", "body": b"x" * 60, "more_body": True}]

    async def pausing() -> dict[str, Any]:
        if pieces:
            return pieces.pop()
        await asyncio.Event().wait()
        raise AssertionError

    app = IngressApp(options(body_timeout_s=0.01, unverified=unverified))
    status, headers, _ = await request(app, b"", receive=pausing)
    assert (status, headers[b"connection"]) == (408, b"close")
    assert unverified.take(100)


async def test_a_client_that_goes_away_before_its_body_is_answered_and_nothing_is_stored() -> None:
    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    committed = Committed()
    assert (await request(IngressApp(options(committed)), b"", receive=gone))[0] == 400
    assert committed.bodies == []


async def test_the_bytes_of_a_body_are_pending_until_it_is_durable() -> None:
    held, taken, stored = pending(10), asyncio.Event(), asyncio.get_running_loop().create_future()

    async def commit(_body: Body) -> None:
        taken.set()
        await stored

    waiting = asyncio.create_task(request(IngressApp(options(pending=held, commit=commit)), b"x" * 10))
    await taken.wait()
    assert not held.take(1)
    stored.set_result(None)
    assert (await waiting)[0] == 200
    assert held.take(10)
