"""From one record of `webhooks.raw` to its events, and to dead letters for what cannot become one. Pure.

Each body and each item is judged alone, so that a bad one harms only itself. This holds also for an item that makes our
own code raise. A new process would raise the same exception, so the item is dead-lettered at once with reason `bug`.
If there are many, the limit on dead letters halts the stage.

A body with bad items is one dead letter: its bytes as received, and the positions of the bad items. A redrive reads the
whole body again, which repeats events of its good items. That is harmless, because the merge is idempotent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never

from domain.correlation import IgnoredStatus, Ownership, RefusedStatus, decide
from domain.inbound import (
    IgnoredItem,
    PersonEvents,
    Receipt,
    RefusedItem,
    decide_message,
    decide_preference,
    opt_out_of_failure,
)
from domain.keywords import Keywords
from domain.notices import decide_notice
from runtime.logs import mask_text
from schemas.bundles import Body, decode_bundle, encode_bundle
from schemas.codec import Malformed
from schemas.control import ControlEvent
from schemas.dead_letters import ERROR_CHARS_MAX, ITEMS_LISTED_MAX, DeadItem, redrives
from schemas.events import Origin, RecipientEvent
from schemas.lenient_json import read_json
from schemas.places import Place, Record
from schemas.reasons import DeadLetterReason, ItemOutcome
from schemas.subscriptions import SubscriptionEvent
from schemas.webhook_notices import NoticeItem
from schemas.webhook_people import MessageItem, PreferenceItem
from schemas.webhook_statuses import StatusItem
from schemas.webhooks import BadItem, OtherItem, WebhookItem, items_of, status_items
from streams.reconciler.plain import PlainEvent, ShortWay

STAGE = "reconciler"
DEFAULT_KEYWORDS = Keywords.of()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a body, or one item of it, cannot be applied."""

    reason: str
    error: str = ""
    raised: Exception | None = None


@dataclass(slots=True)
class Refusals:
    """The refused items of one body."""

    body: Body
    items: int
    """How many items the body has."""
    first: Refusal
    positions: list[int] = field(default_factory=list)
    """Where the refused items are. Empty: the whole body was refused."""
    by_reason: Counter[str] = field(default_factory=Counter)

    def add(self, position: int, refusal: Refusal) -> None:
        """Note one more refused item. A bug of our own is the reason that is shown first."""
        self.positions.append(position)
        self.by_reason[refusal.reason] += 1
        if refusal.raised is not None and self.first.raised is None:
            self.first = refusal


Published = RecipientEvent | SubscriptionEvent | ControlEvent | PlainEvent


@dataclass(slots=True)
class Reconciled:
    """The content of one record: what to publish, and what to count."""

    record: Record
    events: list[RecipientEvent] = field(default_factory=list)
    plain: list[PlainEvent] = field(default_factory=list)
    """Events of plain bodies, which are written already."""
    subscriptions: list[SubscriptionEvent] = field(default_factory=list)
    """Opt-outs and opt-ins of people."""
    notices: list[ControlEvent] = field(default_factory=list)
    """What Meta reported about templates, numbers and the account."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """How many items became an event, were refused, or were ignored, by the words of `ItemOutcome`."""
    unknown_words: Counter[str] = field(default_factory=Counter)
    """The status words that are not known, and how often each came."""
    bodies: int = 0
    lenient_bodies: int = 0
    """Bodies that are not strict JSON and were read all the same."""
    refused: dict[int, Refusals] = field(default_factory=dict)
    """By the index of the body."""
    malformed: Refusal | None = None
    """Why the record as a whole cannot be read."""

    @property
    def dead(self) -> list[DeadItem]:
        """One dead letter for each body with a refused item."""
        if self.malformed is not None:
            return [self._letter(0, self.record.value or b"", self.malformed)]
        return [self._letter_of(index, each) for index, each in sorted(self.refused.items())]

    @property
    def is_refused(self) -> bool:
        """Whether the record, or a part of it, becomes a dead letter."""
        return self.malformed is not None or bool(self.refused)

    @property
    def event_count(self) -> int:
        """How many events are to be published."""
        return len(self.events) + len(self.plain) + len(self.subscriptions) + len(self.notices)

    def forget_events(self) -> None:
        """Free the memory of events that are published."""
        self.events, self.plain, self.subscriptions, self.notices = [], [], [], []

    @property
    def published(self) -> list[RecipientEvent | SubscriptionEvent | ControlEvent]:
        """All events to publish."""
        return [*self.events, *self.subscriptions, *self.notices]

    def refuse_body(self, index: int, body: Body, refusal: Refusal) -> None:
        """Refuse a whole body."""
        self.refused[index] = Refusals(body, 1, refusal)
        self.outcomes[ItemOutcome.DEAD_LETTER.value] += 1

    def refuse_event(self, event: Published) -> None:
        """Refuse the body of an event that its topic does not accept."""
        match event:
            case PlainEvent(body=index):
                self.plain.remove(event)
            case RecipientEvent(origin=Origin(index=index)):
                self.events.remove(event)
            case SubscriptionEvent(origin=Origin(index=index)):
                self.subscriptions.remove(event)
            case _:
                raise AssertionError("every event of the reconciler has an origin")
        self.outcomes[ItemOutcome.EVENT.value] -= 1
        body = decode_bundle(self.record.value)[index]
        self.refuse_body(index, body, Refusal(DeadLetterReason.RECORD_TOO_LARGE.value))

    def _letter_of(self, index: int, refusals: Refusals) -> DeadItem:
        value = encode_bundle([refusals.body])
        if not refusals.positions:
            return self._letter(index, value, refusals.first)
        counts = ", ".join(f"{n} {reason}" for reason, n in refusals.by_reason.most_common())
        details = f": {refusals.first.error}" if refusals.first.error else ""
        shown = Refusal(
            refusals.first.reason,
            f"{len(refusals.positions)} of {refusals.items} items: {counts}{details}",
            refusals.first.raised,
        )
        items = tuple(refusals.positions[:ITEMS_LISTED_MAX])
        return self._letter(index, value, shown, items, len(refusals.positions) / refusals.items)

    def _letter(
        self, index: int, value: bytes, refusal: Refusal, items: tuple[int, ...] = (), share: float = 1.0
    ) -> DeadItem:
        place = Place(self.record.topic, self.record.partition, self.record.offset, index)
        redriven = redrives(self.record.headers)
        return DeadItem(place, None, value, refusal.reason, refusal.error, refusal.raised, items, share, redriven)


def reconcile(
    record: Record,
    ownership: Ownership,
    now: datetime,
    keywords: Keywords = DEFAULT_KEYWORDS,
    *,
    is_short_way_open: bool = False,
) -> Reconciled:
    """Read one record. It never raises: what cannot be read becomes a dead letter. `now`: the present.

    `is_short_way_open`: plain bodies go to `plain`. Their events are the same, and written already.
    """
    found = Reconciled(record)
    try:
        bodies = decode_bundle(record.value)
    except Malformed as error:
        found.malformed = Refusal(DeadLetterReason.MALFORMED_BUNDLE.value, str(error))
        found.outcomes[ItemOutcome.DEAD_LETTER.value] += 1
        return found
    found.bodies = len(bodies)
    present = max(record.at, now)
    short = ShortWay(record, ownership, present) if is_short_way_open else None
    for index, body in enumerate(bodies):
        _read_body(found, index, body, ownership, present, keywords, short)
    return found


def _read_body(
    found: Reconciled,
    index: int,
    body: Body,
    ownership: Ownership,
    present: datetime,
    keywords: Keywords,
    short: ShortWay | None,
) -> None:
    try:
        read = read_json(body.raw)
        if short is not None and not read.is_lenient:
            plain = short.read(index, body.received_at_us, read.value)
            if plain is not None:
                found.plain += plain.events
                found.outcomes[ItemOutcome.EVENT.value] += len(plain.events)
                for value, left in plain.left:
                    rest = status_items(value, [status for _, status in left])
                    placed = zip((position for position, _ in left), rest, strict=True)
                    _read_items(found, index, body, plain.items, placed, ownership, present, keywords)
                return
        items = items_of(read.value)
    except Malformed as error:
        found.refuse_body(index, body, Refusal(error.reason, str(error)))
        return
    except Exception as error:  # noqa: BLE001 - the docstring of the module has the reason
        found.refuse_body(index, body, _bug(error))
        return
    found.lenient_bodies += read.is_lenient
    if not items:
        found.outcomes[ItemOutcome.EMPTY.value] += 1
    _read_items(found, index, body, len(items), enumerate(items), ownership, present, keywords)


def _read_items(
    found: Reconciled,
    index: int,
    body: Body,
    count: int,
    items: Iterable[tuple[int, WebhookItem]],
    ownership: Ownership,
    present: datetime,
    keywords: Keywords,
) -> None:
    """Read items of a body with their positions in it. `count`: all items of the body."""
    record = found.record
    origin = Origin(topic=record.topic, partition=record.partition, offset=record.offset, index=index)
    receipt = Receipt(body.received_at, origin, max(body.received_at, present))
    for position, item in items:
        result = _read_item(item, ownership, receipt, keywords)
        match result:
            case PersonEvents(event, subscription):
                found.events += [] if event is None else [event]
                found.subscriptions += [] if subscription is None else [subscription]
                found.outcomes[ItemOutcome.EVENT.value] += 1
            case ControlEvent():
                found.notices.append(result)
                found.outcomes[ItemOutcome.EVENT.value] += 1
            case Refusal():
                refusals = found.refused.setdefault(index, Refusals(body, count, result))
                refusals.add(position, result)
                found.outcomes[ItemOutcome.DEAD_LETTER.value] += 1
            case str():
                found.outcomes[result] += 1
                if result == ItemOutcome.UNKNOWN_STATUS and isinstance(item, StatusItem):
                    found.unknown_words[item.status] += 1
            case _:
                assert_never(result)


ItemResult = PersonEvents | ControlEvent | Refusal | str
"""What became of one item: events, a notice, a refusal, or the word under which an ignored item is counted."""


def _read_item(item: WebhookItem, ownership: Ownership, receipt: Receipt, keywords: Keywords) -> ItemResult:
    try:
        match item:
            case OtherItem(kind):
                return kind
            case BadItem(reason, raised):
                return Refusal(reason) if raised is None else _bug(raised)
            case StatusItem():
                return _read_status(item, ownership, receipt)
            case MessageItem():
                return _result(decide_message(item, receipt, keywords))
            case PreferenceItem():
                return _result(decide_preference(item, receipt))
            case NoticeItem():
                notice = decide_notice(item, receipt)
                return notice.reason if isinstance(notice, IgnoredItem) else notice
            case _:
                assert_never(item)
    except Exception as error:  # noqa: BLE001 - the docstring of the module has the reason
        return _bug(error)


def _read_status(item: StatusItem, ownership: Ownership, receipt: Receipt) -> ItemResult:
    match decide(item, receipt.received_at, ownership, receipt.origin, receipt.latest):
        case RecipientEvent() as event:
            return PersonEvents(event, opt_out_of_failure(item, event, receipt))
        case IgnoredStatus(reason):
            return reason
        case RefusedStatus(reason):
            return Refusal(reason)


def _result(decided: PersonEvents | IgnoredItem | RefusedItem) -> ItemResult:
    match decided:
        case PersonEvents():
            return decided
        case IgnoredItem(reason):
            return reason
        case RefusedItem(reason):
            return Refusal(reason)


def _bug(error: Exception) -> Refusal:
    text = mask_text(f"{type(error).__name__}: {error}"[:ERROR_CHARS_MAX])
    return Refusal(DeadLetterReason.BUG.value, text, raised=error)
