"""The moves of Meta's webhooks, the sink, the operator, the recipients, and the clock."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from random import Random

from domain.status import Status
from domain.windows import WHOLE_DAY, Hours, WindowZone
from schemas.events import EventKind, Failure, RecipientEvent
from schemas.model import CampaignId, RecipientId
from tests.properties.pipeline.limits import SHUT
from tests.properties.pipeline.rows import Key
from tests.properties.pipeline.world import HELD_BACK, TRANSIENT, Move, World

STATUSES: tuple[tuple[str, EventKind, Failure | None, frozenset[str]], ...] = (
    ("sent", EventKind.SENT, None, frozenset()),
    ("delivered", EventKind.DELIVERED, None, frozenset({"held back"})),
    ("read", EventKind.READ, None, frozenset({"failed", "held back"})),
    ("failed", EventKind.FAILED, TRANSIENT, frozenset({"delivered", "read", "held back"})),
    ("held back", EventKind.FAILED, HELD_BACK, frozenset({"delivered", "read", "failed"})),
)
"""The statuses that Meta may send: the name, the event, and the statuses after which it is not sent."""


class Webhooks:
    """Meta's webhooks: late, duplicated, in any order, with and without callback data."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sent: dict[Key, set[str]] = {}

    def moves(self) -> Iterator[Move]:
        """The webhooks that Meta may send now."""
        for key in self._world.accepted:
            sent = self._sent.setdefault(key, set())
            for name, kind, failure, never_after in STATUSES:
                if name not in sent and not sent & never_after:
                    yield Move(f"webhook {name}", 0.35, partial(self.send, key, name, kind, failure))
                    if self._world.is_wamid_known(key):
                        bare = partial(self.send, key, name, kind, failure, is_bare=True)
                        yield Move(f"webhook {name}, bare", 0.35, bare)

    def live(self) -> None:
        """Send the status `sent` of every message without a failed status."""
        for key in self._world.accepted:
            if key not in self._world.failed_later and "sent" not in self._sent.setdefault(key, set()):
                self.send(key, "sent", EventKind.SENT, None)

    def send(self, key: Key, name: str, kind: EventKind, failure: Failure | None, *, is_bare: bool = False) -> None:
        """Publish the event of one webhook, as the reconciler does."""
        world = self._world
        self._sent[key].add(name)
        if failure is not None:
            world.failed_later.add(key)
        wamid = world.accepted[key]
        if is_bare:
            world.publish_event(
                RecipientEvent(kind=kind, wamid=wamid, occurred_at=world.now, received_at=world.now, failure=failure)
            )
        else:
            is_named = world.is_limited and kind is EventKind.SENT
            also = [world.user_id_of(key[0])] if is_named else None
            world.publish_event(world.event(kind, key, wamid=wamid, failure=failure, also_known_as=also))


class Sink:
    """Applies events in any order and in any batches, also repeatedly."""

    def __init__(self, world: World, random: Random) -> None:
        self._world = world
        self._random = random

    def moves(self) -> Iterator[Move]:
        """The batches that the sink may apply now."""
        world = self._world
        waiting = [at for at in range(len(world.events)) if at not in world.applied]
        if waiting:
            yield Move("apply the next", 2, partial(world.apply, waiting[:1]))
            yield Move("apply any", 2, partial(self._apply_some, waiting))
        if world.events:
            yield Move("replay a prefix", 0.3, self._replay)

    def live(self) -> None:
        """Apply everything."""
        waiting = [at for at in range(len(self._world.events)) if at not in self._world.applied]
        if waiting:
            self._world.apply(waiting)

    def _apply_some(self, waiting: list[int]) -> None:
        some = self._random.sample(waiting, self._random.randint(1, min(3, len(waiting))))
        self._world.apply(some)

    def _replay(self) -> None:
        end = self._random.randint(1, len(self._world.events))
        start = self._random.randint(0, end - 1)
        self._world.apply(list(range(start, end)))


class Operator:
    """Pauses, resumes, cancels, and decides about unknown sends. Recipients opt out."""

    def __init__(self, world: World) -> None:
        self._world = world

    def moves(self) -> Iterator[Move]:
        """The actions of the operator and the recipients that are possible now."""
        tables = self._world.tables
        if tables.campaign == "active":
            yield Move("pause", 0.12, partial(self._stop, "paused"))
        if tables.campaign == "paused":
            yield Move("resume", 0.6, self.resume)
        if tables.campaign in ("active", "paused"):
            yield Move("cancel", 0.06, partial(self._stop, "cancelled"))
        for recipient, row in tables.rows.items():
            if recipient not in tables.opted_out:
                yield Move("opt out", 0.05, partial(self._opt_out, recipient))
            if row.status is Status.UNKNOWN:
                key = (recipient, row.facts.attempt)
                yield Move("request a retry", 0.6, partial(self._request_retry, key))
                yield Move("assume sent", 0.2, partial(self._assume_sent, key))

        if self._world.is_limited:
            for campaign, each in tables.limits.campaigns.items():
                weight = 0.1 if each.hours.window == SHUT else 0.03
                yield Move("change the hours", weight, partial(self._change_hours, campaign))

    def _change_hours(self, campaign: CampaignId) -> None:
        """Close the window of a campaign, or open it for ever."""
        world, hours = self._world, self._world.tables.limits.campaigns[campaign].hours
        window = WHOLE_DAY if hours.window == SHUT else SHUT
        world.tables.change_hours(campaign, Hours(window, WindowZone.CAMPAIGN, hours.time_zone), world.now)
        world.record.hours_changed_at[campaign] = world.seconds

    def open(self) -> None:
        """Open the windows that an operator has closed, and resume."""
        for campaign, each in self._world.tables.limits.campaigns.items():
            if each.hours.window == SHUT:
                self._change_hours(campaign)
        self.resume()

    def resume(self) -> None:
        """Resume the campaign if it is paused."""
        if self._world.tables.campaign == "paused":
            self._world.tables.campaign = "active"
            self._world.stopped_at = None
            self._world.tables.reset_breaker(self._world.now)

    def _stop(self, state: str) -> None:
        world = self._world
        world.tables.campaign = state
        world.stopped_at = world.seconds if world.stopped_at is None else world.stopped_at

    def _opt_out(self, recipient: RecipientId) -> None:
        self._world.tables.opted_out.add(recipient)
        self._world.out_at[recipient] = self._world.seconds

    def _request_retry(self, key: Key) -> None:
        self._world.retry_requests.add(key)
        self._world.publish_event(self._world.event(EventKind.RETRY, key))

    def _assume_sent(self, key: Key) -> None:
        self._world.publish_event(self._world.event(EventKind.ASSUMED_SENT, key))


class Clock:
    """The clock advances: by a moment, by some seconds, by more than a lease, or by half a window of the budget."""

    def __init__(self, world: World) -> None:
        self._world = world

    def moves(self) -> Iterator[Move]:
        """The possible steps of the clock."""
        for seconds, weight in ((0.5, 0.3), (3.0, 0.25), (11.0, 0.25), (50.0, 0.12)):
            yield Move(f"{seconds:g} s pass", weight, partial(self._world.pass_time, seconds))
        if self._world.is_limited:
            yield Move("25 min pass", 0.05, partial(self._world.pass_time, 1500.0))
