"""The workload: recipients that were released, and their events as the product's own writers make them.

Each message is accepted, sent, delivered and read, or it fails after it was sent. 5 % of the events come twice. Their
order is random within a window. The truth is computed from the
events alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from itertools import islice
from uuid import UUID

from schemas.codec import PRODUCER, encode
from schemas.events import EventKind, Failure, Origin, Pricing, RecipientEvent, RetryClass
from schemas.model import CampaignId, RecipientId, Wamid

READ = (EventKind.ACCEPTED, EventKind.SENT, EventKind.DELIVERED, EventKind.READ)
FAILED = (EventKind.ACCEPTED, EventKind.SENT, EventKind.FAILED)
STEP = {kind: step for kinds in (READ, FAILED) for step, kind in enumerate(kinds)}
DUPLICATES = 0.05
WINDOW = 5_000
"""As where many partitions and webhooks arrive together."""
NOT_DELIVERABLE = Failure(code=131026, reason="Message undeliverable", retry_class=RetryClass.NEVER, backoff_s=0)
NUMBER_ID = "106540352242922"
CAMPAIGN = CampaignId(UUID("0197d3a0-0000-7000-8000-000000000001"))


@dataclass(frozen=True, slots=True)
class MessageTruth:
    """What the row of a message must be. A later fact implies the earlier ones, so the times are minima."""

    status: str
    sent_at: datetime
    delivered_at: datetime | None
    read_at: datetime | None
    wamid: str


@dataclass(frozen=True, slots=True)
class Workload:
    """`recipients` people from a start time. The same numbers give the same events."""

    recipients: int
    start: datetime
    one_fails_of: int = 0
    """Every so many messages one fails; 0: none."""
    window: int = WINDOW
    """The number of events that are shuffled together."""
    given: tuple[RecipientId, ...] = ()
    """The recipients, if they exist already."""
    campaign: CampaignId = CAMPAIGN
    seed: int = 1

    def ids(self) -> Sequence[RecipientId]:
        """Ids as the database makes them: version 7, in the order of time."""
        if self.given:
            return self.given
        digits = random.Random(self.seed)  # noqa: S311 - a benchmark needs the same events again
        first_ms = int(self.start.timestamp() * 1000)
        heads = ((first_ms + n // 10) << 80 | 7 << 76 | n % 10 << 64 | 2 << 62 for n in range(self.recipients))
        return [RecipientId(UUID(int=head | digits.getrandbits(62))) for head in heads]

    def events(self) -> Iterator[RecipientEvent]:
        """The events in the order of their records."""
        shuffle = random.Random(self.seed + 1)  # noqa: S311 - as above
        events = self._in_order(shuffle)
        while window := list(islice(events, self.window)):
            shuffle.shuffle(window)
            yield from window

    def _in_order(self, draw: random.Random) -> Iterator[RecipientEvent]:
        for place, recipient in enumerate(self.ids()):
            for kind in FAILED if self._fails(place) else READ:
                event = self._event(recipient, kind, place)
                yield event
                if draw.random() < DUPLICATES:
                    yield event

    def _fails(self, place: int) -> bool:
        return self.one_fails_of > 0 and place % self.one_fails_of == 0

    def _event(self, recipient: RecipientId, kind: EventKind, place: int) -> RecipientEvent:
        is_ours = kind is EventKind.ACCEPTED
        at, received_at = self._times(kind, place)
        return RecipientEvent(
            producer=PRODUCER,
            kind=kind,
            campaign_id=self.campaign,
            recipient_id=recipient,
            attempt=1,
            wamid=wamid_of(recipient),
            phone_number_id=NUMBER_ID,
            occurred_at=at,
            received_at=received_at,
            failure=NOT_DELIVERABLE if kind is EventKind.FAILED else None,
            pricing=None if is_ours else Pricing(type="regular", category="marketing"),
            origin=None if is_ours else Origin(topic="webhooks.raw", partition=place % 8, offset=10_000 + place),
        )

    def _times(self, kind: EventKind, place: int) -> tuple[datetime, datetime]:
        """When it happened, and when it was received. Meta states whole seconds."""
        at = self.start + timedelta(seconds=STEP[kind] * 2 + place // 100)
        received_at = at + timedelta(microseconds=1 + place * 7919 % 999_983)
        return received_at if kind is EventKind.ACCEPTED else at, received_at

    def truth(self) -> dict[RecipientId, MessageTruth]:
        """What the row of each recipient must be."""
        found = {}
        for place, recipient in enumerate(self.ids()):
            at = {kind: self._times(kind, place)[0] for kind in READ}
            if self._fails(place):
                sent_at = min(at[EventKind.ACCEPTED], at[EventKind.SENT])
                found[recipient] = MessageTruth("failed", sent_at, None, None, wamid_of(recipient))
            else:
                delivered_at = min(at[EventKind.DELIVERED], at[EventKind.READ])
                found[recipient] = MessageTruth(
                    "read", min(at.values()), delivered_at, at[EventKind.READ], wamid_of(recipient)
                )
        return found


def wamid_of(recipient: RecipientId) -> Wamid:
    """A wamid as long as Meta's are. As with Meta's, those of neighbours are in random order: its digits begin with the
    last ones of the id, which are random.
    """
    return Wamid("wamid.HBgLMTU1NTAxMjM0NTYVAgARGBI" + recipient.hex[:7:-1].upper() + "A=")


@lru_cache(1)
def records_of(workload: Workload) -> list[tuple[bytes, bytes]]:
    """Key and value of each record. All contestants of a case get the same."""
    return [(event.key, encode(event)) for event in workload.events()]


@cache
def start_of_now() -> datetime:
    """An hour before the first call, in whole seconds: its events are neither too old nor in the future."""
    return datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
