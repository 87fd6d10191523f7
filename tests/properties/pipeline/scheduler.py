"""The moves of the scheduler: two leaders that release and publish and may die, and the periodic work of a leader."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial

from domain.breakers import permits_probe
from domain.status import Status
from tests.properties.pipeline.rows import Key
from tests.properties.pipeline.world import ATTEMPTS_MAX, UNKNOWN_S, WINDOW_S, Job, Move, World

JOBS_MAX = 12
"""The limit of published jobs in a walk. Walks test orders, so a few jobs are enough."""


class Leader:
    """One of two schedulers that consider themselves the leader. Its unpublished releases are lost when it dies."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._released: list[Key] = []

    def moves(self) -> Iterator[Move]:
        """The moves that are possible now."""
        if self._released:
            yield Move("leader publishes", 3, self.publish)
            yield Move("leader dies", 0.5, self._released.clear)
        elif self._is_due():
            yield Move("leader releases", 3, self.release)

    def live(self) -> None:
        """One round without a failure."""
        if self._is_due():
            self.release()
        if self._released:
            self.publish()

    def _is_due(self) -> bool:
        world = self._world
        breaker = world.tables.breaker
        if breaker.is_open and not permits_probe(breaker, world.now) and world.rules.held:
            return False
        return world.tables.campaign == "active" and any(
            row.due_at is not None and row.due_at <= world.now and row.facts.attempt < ATTEMPTS_MAX
            for row in world.tables.rows.values()
        )

    def release(self) -> None:
        """Release the due recipients."""
        world = self._world
        send_before = world.now + timedelta(seconds=WINDOW_S)
        world.require_unsent_due()
        release = partial(world.tables.release_due, world.now, send_before)
        self._released = world.require_in_turn(release) if world.is_limited else release()
        for key in self._released:
            world.send_before[key] = world.tables.releases[key].send_before

    def publish(self) -> None:
        """Publish the released jobs, and record their offsets."""
        publish(self._world, self._released)
        self._released = []


def publish(world: World, keys: list[Key]) -> None:
    """Publish jobs to `send.jobs`."""
    for key in keys:
        world.jobs.append(Job(key, world.send_before[key]))
        world.tables.record_published(key, len(world.jobs) - 1, world.now)


class Upkeep:
    """The periodic work of a leader: republishing, the sweep, cancellations, the end of a campaign."""

    def __init__(self, world: World) -> None:
        self._world = world

    def moves(self) -> Iterator[Move]:
        """The moves that are possible now."""
        world, tables = self._world, self._world.tables
        unclaimed = tables.find_unclaimed(world.now, world.committed)
        if unclaimed and len(world.jobs) < JOBS_MAX:
            yield Move("jobs published again", 2, partial(publish, world, unclaimed))
        if self._is_held():
            yield Move("pause by the breaker", 2, self.pause_held)
        if world.jobs and len(world.jobs) < JOBS_MAX:
            yield Move("a job is duplicated", 0.15, partial(world.jobs.append, world.jobs[-1]))
        if any(held.outcome is None and held.lease_until < world.now for held in tables.ledger.values()):
            yield Move("sweep declares unknown", 2, partial(tables.declare_unknown, world.now))
        if world.rules.outbox and tables.read_unpublished(world.now, 2):
            yield Move("sweep publishes", 1.5, self.publish_outcomes)
            yield Move("sweep publishes and dies", 0.3, partial(self.publish_outcomes, is_marked=False))
        if tables.portfolio_returns:
            yield Move("settle the portfolio", 1, partial(tables.settle_portfolio, world.now))
        if tables.campaign == "cancelled":
            yield Move("skip cancelled", 1, partial(tables.skip_cancelled, world.now))
        if tables.is_over(world.now, UNKNOWN_S):
            yield Move("complete", 0.6, partial(tables.complete_campaigns, world.now, UNKNOWN_S))
        if tables.is_open_again():
            yield Move("reopen", 1, tables.reopen_campaigns)
        if any(key in tables.ledger or tables.rows[key[0]].status is not Status.QUEUED for key in tables.releases):
            yield Move("forget answered", 0.5, partial(tables.forget_answered, world.now, 5))

    def live(self) -> None:
        """One round of all periodic work."""
        world, tables = self._world, self._world.tables
        if self._is_held():
            self.pause_held()
        tables.declare_unknown(world.now)
        if world.rules.outbox:
            self.publish_outcomes()
        publish(world, tables.find_unclaimed(world.now, world.committed))
        tables.settle_portfolio(world.now)
        tables.skip_cancelled(world.now)
        tables.complete_campaigns(world.now, UNKNOWN_S)
        tables.reopen_campaigns()
        tables.forget_answered(world.now, 5)

    def _is_held(self) -> bool:
        tables = self._world.tables
        return tables.campaign == "active" and tables.breaker.is_open and tables.breaker.needs_human

    def pause_held(self) -> None:
        """Pause the campaign, because its breaker needs a human."""
        self._world.tables.campaign = "paused"
        self._world.stopped_at = self._world.seconds

    def publish_outcomes(self, *, is_marked: bool = True) -> None:
        """Publish the outcomes that their senders did not publish."""
        world, tables = self._world, self._world.tables
        for key in tables.read_unpublished(world.now, 2):
            held = tables.ledger[key]
            assert held.event is not None, "an outcome has its event"
            world.publish_event(held.event)
            if is_marked:
                tables.mark_published(key, held.event.kind.value)
