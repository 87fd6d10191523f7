"""The time at which a bundle is published. The tests acknowledge the bundles."""

import asyncio

import pytest

from producers.ingress.bundler import Bundler
from producers.ingress.pending_bytes import SMALL_BYTES, PendingBytes
from runtime import metrics
from schemas.bundles import BODIES_MAX, BYTES_MAX, Body, decode_bundle


class Broker:
    """Records published bundles. A test acknowledges them."""

    def __init__(self) -> None:
        self.bundles: list[list[bytes]] = []
        self.waiting: list[asyncio.Future[None]] = []

    async def publish(self, record: bytes) -> None:
        self.bundles.append([body.raw for body in decode_bundle(record)])
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append(acknowledged)
        await acknowledged


async def turn() -> None:
    """Let all ready tasks run."""
    for _ in range(5):
        await asyncio.sleep(0)


def commit(group: Bundler, raw: bytes) -> "asyncio.Task[None]":
    return asyncio.ensure_future(group.commit(Body(1, raw)))


async def test_a_body_is_published_at_once_if_no_bundle_is_in_flight() -> None:
    broker = Broker()
    task = commit(Bundler(broker.publish, gather_s=60), b"a")
    await turn()
    assert broker.bundles == [[b"a"]]
    assert not task.done()
    broker.waiting[0].set_result(None)
    await task


async def test_bodies_gather_until_the_acknowledgement_in_flight_returns() -> None:
    broker = Broker()
    group = Bundler(broker.publish, gather_s=60)
    tasks = [commit(group, raw) for raw in (b"a", b"b", b"c")]
    await turn()
    assert broker.bundles == [[b"a"]]
    broker.waiting[0].set_result(None)
    await turn()
    assert broker.bundles == [[b"a"], [b"b", b"c"]]
    broker.waiting[1].set_result(None)
    await asyncio.gather(*tasks)


async def test_a_slow_acknowledgement_is_not_waited_for_longer_than_the_gathering_time() -> None:
    broker = Broker()
    group = Bundler(broker.publish, gather_s=0.01)
    tasks = [commit(group, raw) for raw in (b"a", b"b")]
    async with asyncio.timeout(5):
        while len(broker.bundles) < 2:
            await turn()
    assert broker.bundles == [[b"a"], [b"b"]]
    for acknowledged in broker.waiting:
        acknowledged.set_result(None)
    await asyncio.gather(*tasks)


async def test_a_full_bundle_is_published() -> None:
    broker = Broker()
    group = Bundler(broker.publish, gather_s=60)
    tasks = [commit(group, b"x") for _ in range(1 + BODIES_MAX)]
    await turn()
    assert [len(bundle) for bundle in broker.bundles] == [1, BODIES_MAX]
    for acknowledged in broker.waiting:
        acknowledged.set_result(None)
    await asyncio.gather(*tasks)


async def test_no_bundle_exceeds_its_size_and_a_large_body_is_published_alone() -> None:
    broker = Broker()
    group = Bundler(broker.publish, gather_s=60)
    large = b"L" * (BYTES_MAX + 1)
    tasks = [commit(group, raw) for raw in (b"first", b"s", b"h" * (BYTES_MAX - 10), large, b"t")]
    await turn()
    assert [[raw[:1] for raw in bundle] for bundle in broker.bundles] == [[b"f"], [b"s"], [b"h"], [b"L"]]
    broker.waiting[0].set_result(None)
    await turn()
    assert broker.bundles[-1] == [b"t"]
    for acknowledged in broker.waiting[1:]:
        acknowledged.set_result(None)
    await asyncio.gather(*tasks)


async def test_a_failure_reaches_every_caller_of_its_bundle_and_no_other() -> None:
    broker = Broker()
    group = Bundler(broker.publish, gather_s=60)
    first, second, third = (commit(group, raw) for raw in (b"a", b"b", b"c"))
    await turn()
    broker.waiting[0].set_result(None)
    await turn()
    broker.waiting[1].set_exception(ConnectionError("gone"))
    await first
    for task in (second, third):
        with pytest.raises(ConnectionError):
            await task


async def test_a_caller_that_disconnects_affects_no_other() -> None:
    broker = Broker()
    group = Bundler(broker.publish, gather_s=60)
    first, gone, other = (commit(group, raw) for raw in (b"a", b"b", b"c"))
    await turn()
    gone.cancel()
    broker.waiting[0].set_result(None)
    await turn()
    broker.waiting[1].set_result(None)
    await asyncio.gather(first, other)


def test_pending_bytes_are_limited_and_released() -> None:
    pending = PendingBytes(100, metrics.INGRESS_PENDING_BYTES)
    with pending.request() as take:
        assert take(60)
        with pending.request() as other:
            assert not other(41)
            assert other(40)
        assert take(40)
        assert not take(1)
    with pending.request() as take:
        assert take(100)


def test_large_requests_leave_room_for_small_ones() -> None:
    pending = PendingBytes(8 * SMALL_BYTES, metrics.INGRESS_UNVERIFIED_BYTES, large_share=0.75)
    with pending.request() as take, pending.request() as take_more, pending.request() as take_little:
        assert take(5 * SMALL_BYTES)
        assert take_more(SMALL_BYTES)
        assert not take_more(1), "it is large by now"
        assert take_little(SMALL_BYTES)
