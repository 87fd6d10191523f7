"""The answers of the ingress without a socket, for cases that are hard to cause over a real connection."""

import asyncio
import threading
from dataclasses import replace
from typing import Any

import pytest

from producers.ingress.app import IngressApp, IngressOptions
from producers.ingress.bundler import Publish
from producers.ingress.pending_bytes import PendingBytes
from producers.ingress.signature import SignatureCheck, check_well_formed, sign
from runtime import metrics
from schemas.bundles import Body, decode_bundle
from tests.support.http_client import HttpClient, head
from topics.publisher import PublishFailed

SECRET = b"s"


class Committed:
    """The bodies of the bundles that were published."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.bodies: list[Body] = []
        self._failure = failure

    async def __call__(self, bundle: bytes) -> None:
        if self._failure is not None:
            raise self._failure
        self.bodies += decode_bundle(bundle)


class Held:
    """Publishes nothing until it is released."""

    def __init__(self) -> None:
        self.taken = asyncio.Event()
        self.stored = asyncio.Event()

    async def __call__(self, _bundle: bytes) -> None:
        self.taken.set()
        await self.stored.wait()


async def ready() -> bool:
    return True


def pending(bytes_max: int, large_share: float = 1.0) -> PendingBytes:
    return PendingBytes(bytes_max, metrics.INGRESS_PENDING_BYTES, large_share)


def options(committed: Publish | None = None, **changed: Any) -> IngressOptions:
    made = IngressOptions(
        app_secrets=(SECRET,),
        verify_token=b"token",
        body_bytes_max=1000,
        unverified=pending(10_000),
        pending=pending(10_000),
        publish=committed or Committed(),
        is_ready=ready,
    )
    return replace(made, **changed)


async def request(
    app: IngressApp,
    *chunks: bytes,
    method: bytes = b"POST",
    path: bytes = b"/webhooks/whatsapp",
    headers: dict[bytes, bytes] | None = None,
) -> tuple[int, dict[bytes, bytes], bytes]:
    """Send a request, its body in chunks, and return the answer."""
    given = headers if headers is not None else {b"x-hub-signature-256": sign(SECRET, b"".join(chunks))}
    length = {b"content-length": b"%d" % len(b"".join(chunks))} if chunks else {}
    client = HttpClient(app)
    client.send(head(method, path, {**length, **given}), *chunks)
    answer = await client.answer()
    return answer.status, answer.headers, answer.body


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
    client = HttpClient(IngressApp(options()), body_s=5.0)
    client.send(
        head(b"POST", b"/webhooks/whatsapp", {b"x-hub-signature-256": sign(SECRET, b"{}"), b"content-length": b"2"})
    )
    assert not client.expire(after_s=5.0)
    assert client.expire(after_s=0.1)
    answer = await client.answer()
    assert (answer.status, answer.headers[b"connection"]) == (408, b"close")


@pytest.mark.parametrize("budget", ["unverified", "pending"])
async def test_above_the_limit_of_a_budget_the_answer_is_503(budget: str) -> None:
    held = pending(100)
    changed: dict[str, Any] = {budget: held}
    app = IngressApp(options(**changed))
    assert held.take(99)
    status, headers, _ = await request(app, b'{"a":1}')
    assert (status, headers[b"retry-after"]) == (503, b"5")
    held.release(99)
    assert (await request(app, b'{"a":1}'))[0] == 200


async def test_bytes_are_unverified_only_until_their_signature_is_checked() -> None:
    unverified, held = pending(100), Held()
    waiting = asyncio.create_task(request(IngressApp(options(held, unverified=unverified)), b"x" * 100))
    await held.taken.wait()
    assert unverified.take(100)
    held.stored.set()
    assert (await waiting)[0] == 200


@pytest.mark.parametrize("signature", [{}, {b"x-hub-signature-256": b"sha256=short"}], ids=["none", "short"])
async def test_a_request_without_a_signature_is_refused_before_its_body_is_received(
    signature: dict[bytes, bytes],
) -> None:
    client = HttpClient(IngressApp(options()))
    client.send(head(b"POST", b"/webhooks/whatsapp", {b"content-length": b"2", **signature}))
    assert (await client.answer()).status == 401


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
        return check_well_formed(*given)

    monkeypatch.setattr("producers.ingress.app.check_well_formed", noting)
    wide = options(body_bytes_max=200_000, unverified=pending(200_000), pending=pending(200_000))
    for size, status in ((10, 200), (100_000, 200)):
        assert (await request(IngressApp(wide), b"x" * size))[0] == status
    assert threads[0] == threading.main_thread().name
    assert threads[1].startswith("signature-check")


async def test_a_body_that_kafka_did_not_store_is_not_acknowledged() -> None:
    status, headers, _ = await request(IngressApp(options(Committed(PublishFailed("away")))), b"{}")
    assert (status, headers[b"retry-after"]) == (503, b"5")


async def test_a_bug_while_publishing_is_not_acknowledged() -> None:
    assert (await request(IngressApp(options(Committed(ZeroDivisionError()))), b"{}"))[0] == 500


async def test_a_bug_in_a_check_is_not_acknowledged_and_releases_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    unverified = pending(100)
    app = IngressApp(options(unverified=unverified))
    monkeypatch.setattr("producers.ingress.app.check_well_formed", lambda *_: 1 // 0)
    assert (await request(app, b"x" * 100))[0] == 500
    assert unverified.take(100)


async def test_a_bug_in_the_check_of_a_large_body_is_not_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = options(body_bytes_max=200_000, unverified=pending(200_000))
    monkeypatch.setattr("producers.ingress.app.check_well_formed", lambda *_: 1 // 0)
    assert (await request(IngressApp(wide), b"x" * 100_000))[0] == 500
    assert wide.unverified.take(200_000)


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
        (b"%ff%=&&&=%zz", 403, b"not verified"),
        (b"a&" * 100_000, 403, b"not verified"),
    ],
)
async def test_a_verification_is_answered_whatever_the_bytes_of_its_query_are(
    query: bytes, status: int, answer: bytes
) -> None:
    found, _, body = await request(
        IngressApp(options()), method=b"GET", path=b"/webhooks/whatsapp?" + query, headers={}
    )
    assert (found, body) == (status, answer)


async def test_a_content_length_above_every_limit_is_too_large() -> None:
    headers = {b"x-hub-signature-256": sign(SECRET, b"{}"), b"content-length": b"9" * 19}
    assert (await request(IngressApp(options()), headers=headers))[0] == 413


async def test_without_a_verify_token_no_caller_is_verified() -> None:
    target = b"/webhooks/whatsapp?hub.mode=subscribe&hub.verify_token=&hub.challenge=1"
    status, _, _ = await request(IngressApp(options(verify_token=b"")), method=b"GET", headers={}, path=target)
    assert status == 403


async def test_metrics_are_not_served_on_the_public_address() -> None:
    assert (await request(IngressApp(options()), path=b"/metrics", method=b"GET", headers={}))[0] == 404


def signed_head(body: bytes) -> bytes:
    signature = sign(SECRET, body)
    length = b"%d" % len(body)
    return head(b"POST", b"/webhooks/whatsapp", {b"x-hub-signature-256": signature, b"content-length": length})


async def test_a_client_that_pauses_between_two_pieces_is_disconnected_and_its_bytes_are_released() -> None:
    unverified = pending(100)
    client = HttpClient(IngressApp(options(unverified=unverified)), body_s=5.0)
    client.send(signed_head(b"x" * 80), b"x" * 60)
    assert client.expire(after_s=6.0)
    answer = await client.answer()
    assert (answer.status, answer.headers[b"connection"]) == (408, b"close")
    assert unverified.take(100)


async def test_a_client_that_goes_away_before_its_body_is_complete_holds_nothing_and_nothing_is_stored() -> None:
    committed, unverified = Committed(), pending(100)
    client = HttpClient(IngressApp(options(committed, unverified=unverified)))
    client.send(signed_head(b"x" * 80), b"x" * 60)
    client.leave()
    assert unverified.take(100)
    assert committed.bodies == []


async def test_the_bytes_of_a_body_are_pending_until_it_is_durable() -> None:
    held, waiting_bytes = Held(), pending(10)
    waiting = asyncio.create_task(request(IngressApp(options(held, pending=waiting_bytes)), b"x" * 10))
    await held.taken.wait()
    assert not waiting_bytes.take(1)
    held.stored.set()
    assert (await waiting)[0] == 200
    assert waiting_bytes.take(10)


async def test_a_client_that_goes_away_before_its_answer_harms_nothing_and_its_body_is_stored() -> None:
    held, waiting_bytes = Held(), pending(10)
    client = HttpClient(IngressApp(options(held, pending=waiting_bytes)))
    client.send(signed_head(b"x" * 10), b"x" * 10)
    await held.taken.wait()
    client.leave()
    held.stored.set()
    async with asyncio.timeout(10):
        while not waiting_bytes.take(10):  # noqa: ASYNC110 - a budget has no event
            await asyncio.sleep(0)
    assert client.wire.written == b""


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        (b"GET", b"/health", 200),
        (b"HEAD", b"/health", 200),
        (b"GET", b"/ready", 200),
        (b"POST", b"/ready", 405),
        (b"PUT", b"/webhooks/whatsapp", 405),
        (b"GET", b"/webhooks", 404),
    ],
)
async def test_other_requests_are_answered_by_path_and_method(method: bytes, path: bytes, status: int) -> None:
    found, headers, body = await request(IngressApp(options()), method=method, path=path, headers={})
    assert found == status
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert (body == b"") == (method == b"HEAD")


async def test_a_probe_with_a_body_holds_none_of_it() -> None:
    unverified = pending(100)
    client = HttpClient(IngressApp(options(unverified=unverified)))
    client.send(head(b"GET", b"/ready", {b"content-length": b"60"}), b"x" * 60)
    assert (await client.answer()).status == 413
    assert unverified.take(100)
