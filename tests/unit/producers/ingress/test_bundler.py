"""The time at which a bundle is published. The tests acknowledge the bundles."""

import asyncio
from collections.abc import Sequence

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


class Group:
    """A bundler, and how its bodies were settled."""

    def __init__(self, broker: Broker, gather_s: float = 60) -> None:
        self.settled: dict[bytes, Exception | None] = {}
        self._bundler: Bundler[bytes] = Bundler(broker.publish, self._settle, gather_s)

    def add(self, *raw: bytes) -> None:
        for each in raw:
            self._bundler.add(Body(1, each), each)

    def _settle(self, items: Sequence[bytes], failure: Exception | None) -> None:
        self.settled |= dict.fromkeys(items, failure)


async def test_a_body_is_published_at_once_if_no_bundle_is_in_flight() -> None:
    broker = Broker()
    group = Group(broker)
    group.add(b"a")
    await turn()
    assert (broker.bundles, group.settled) == ([[b"a"]], {})
    broker.waiting[0].set_result(None)
    await turn()
    assert group.settled == {b"a": None}


async def test_bodies_of_one_turn_of_the_loop_share_a_bundle() -> None:
    broker = Broker()
    Group(broker).add(b"a", b"b")
    await turn()
    assert broker.bundles == [[b"a", b"b"]]


async def test_bodies_gather_until_the_acknowledgement_in_flight_returns() -> None:
    broker = Broker()
    group = Group(broker)
    group.add(b"a")
    await turn()
    group.add(b"b", b"c")
    await turn()
    assert broker.bundles == [[b"a"]]
    broker.waiting[0].set_result(None)
    await turn()
    assert broker.bundles == [[b"a"], [b"b", b"c"]]


async def test_the_next_bundle_is_published_before_the_last_one_is_settled() -> None:
    broker = Broker()
    bundles_at_settling: list[int] = []
    bundler: Bundler[bytes] = Bundler(broker.publish, lambda *_: bundles_at_settling.append(len(broker.bundles)), 60)
    bundler.add(Body(1, b"a"), b"a")
    await turn()
    bundler.add(Body(1, b"b"), b"b")
    broker.waiting[0].set_result(None)
    await turn()
    assert bundles_at_settling == [2]


async def test_a_slow_acknowledgement_is_not_waited_for_longer_than_the_gathering_time() -> None:
    broker = Broker()
    group = Group(broker, gather_s=0.01)
    group.add(b"a")
    await turn()
    group.add(b"b")
    async with asyncio.timeout(5):
        while len(broker.bundles) < 2:
            await turn()
    assert broker.bundles == [[b"a"], [b"b"]]


async def test_a_full_bundle_is_published() -> None:
    broker = Broker()
    group = Group(broker)
    group.add(b"x")
    await turn()
    group.add(*[b"x"] * BODIES_MAX)
    await turn()
    assert [len(bundle) for bundle in broker.bundles] == [1, BODIES_MAX]


async def test_no_bundle_exceeds_its_size_and_a_large_body_is_published_alone() -> None:
    broker = Broker()
    group = Group(broker)
    group.add(b"first")
    await turn()
    group.add(b"s", b"h" * (BYTES_MAX - 10), b"L" * (BYTES_MAX + 1), b"t")
    await turn()
    assert [[raw[:1] for raw in bundle] for bundle in broker.bundles] == [[b"f"], [b"s"], [b"h"], [b"L"]]
    broker.waiting[0].set_result(None)
    await turn()
    assert broker.bundles[-1] == [b"t"]


async def test_a_failure_reaches_every_body_of_its_bundle_and_no_other() -> None:
    broker = Broker()
    group = Group(broker)
    group.add(b"a")
    await turn()
    group.add(b"b", b"c")
    broker.waiting[0].set_result(None)
    await turn()
    gone = ConnectionError("gone")
    broker.waiting[1].set_exception(gone)
    await turn()
    assert group.settled == {b"a": None, b"b": gone, b"c": gone}


def test_pending_bytes_are_limited_and_released() -> None:
    pending = PendingBytes(100, metrics.INGRESS_PENDING_BYTES)
    assert pending.take(60)
    assert not pending.take(41)
    assert pending.take(40)
    pending.release(40)
    assert pending.take(40, taken=60)
    assert not pending.take(1, taken=100)
    pending.release(100)
    assert pending.take(100)


def test_large_requests_leave_room_for_small_ones() -> None:
    pending = PendingBytes(8 * SMALL_BYTES, metrics.INGRESS_UNVERIFIED_BYTES, large_share=0.75)
    assert pending.take(5 * SMALL_BYTES)
    assert pending.take(SMALL_BYTES)
    assert not pending.take(1, taken=SMALL_BYTES), "it is large by now"
    assert pending.take(SMALL_BYTES)
