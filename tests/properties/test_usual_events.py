"""The fast way of the sink gives what its general way gives: for any records, in any split over batches.

The records are events of every kind, and records that somebody changed: another spelling, another type, a missing or a
new field, bytes that are no JSON. Both ways must agree on rows, messages, counters, offsets, dead letters and metrics.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise, zip_longest
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.fold import fold
from domain.usual_fold import UsualFold, add_usual, divide
from runtime import metrics
from runtime.settings import Settings
from schemas.codec import Malformed, decode, encode
from schemas.dead_letters import DeadItem
from schemas.events import EventKind, Failure, Origin, Pricing, RecipientEvent, RetryClass
from schemas.model import CampaignId, RecipientId, Wamid
from schemas.places import Record, TopicIdentity
from schemas.usual_events import decode_usual, id_of, time_of
from sinks.batch import last_offsets, moves_of
from sinks.letters import BatchLetters
from sinks.usual import UsualPart
from sinks.writer import BatchWriter
from tables import offsets
from tables.database import Connection, connect
from tests.support.histories import START
from tests.support.usual_folds import fold_usual
from tests.support.world import NUMBER_ID
from topics.dead_letters import DeadLetters

TOPIC = TopicIdentity("cluster", "recipient.events", "id")
CAMPAIGN = CampaignId(UUID(int=7))
PEOPLE = [RecipientId(UUID(int=n << 100 | n)) for n in (1, 2, 3)]
GONE = RecipientId(UUID(int=99))
LATER = datetime.now(UTC) + timedelta(days=400)
TIMES = [START + timedelta(minutes=n) for n in range(4)] + [
    START + timedelta(seconds=1.5), START - timedelta(days=1), START - timedelta(days=3), LATER,
]  # fmt: skip
LONG_AGO = datetime(1, 1, 2, tzinfo=UTC)
"""No time is too old for a campaign of that day: the fold of usual events leaves that question to Postgres."""
USUAL = [EventKind.ACCEPTED, EventKind.SENT, EventKind.DELIVERED, EventKind.READ]
TEXTS = ["", "x", "A" * 65, "A" * 513, "é\U0001f600", "\x00", "null", "true", "1"]
SPELLINGS = [
    "2026-03-01T12:00:00.1234567Z", "2026-03-01T12:00:00.9999999Z", "2026-03-01T12:00:00.5Z", "2026-03-01T12:00Z",
    "2026-03-01T12:00:00+00:00", "2026-03-01T14:00:00+02:00", "2026-03-01t12:00:00z", "2026-03-01 12:00:00Z",
    "2026-03-01T24:00:00Z", "2026-03-01T12:00:60Z", "2026-W09-7T12:00:00Z", "2026-060T12:00:00Z", "2026-03-01T12:00:00",
    "2026-03-01T12:00:00,123456Z", "20260301T120000.123456Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
    "2026-02-29T12:00:00Z", 1772366400, "1772366400", 1772366400.5,
]  # fmt: skip
IDS = [
    str(PEOPLE[0]).upper(), PEOPLE[0].hex, f"urn:uuid:{PEOPLE[0]}", "{" + str(PEOPLE[0]) + "}", str(PEOPLE[1]),
    str(GONE), "0" * 36, "-" * 36, str(PEOPLE[0]).replace("0", "\u0660", 1),
]  # fmt: skip
LEAVES: list[Any] = [
    None, True, False, 0, 1, 2, 62, 63, -1, 1.0, 1e300, 2**63, [], {}, [1], {"type": "x"}, {"category": "x"},
    {"category": "x", "type": None},  {"topic": "t", "partition": 1, "offset": 2}, {"topic": "t"},
    ["user:US.1"], ["user:US.1\n"], ["1" * 18], ["1234567"] * 5, ["1234567", 1], *TEXTS, *SPELLINGS, *IDS,
]  # fmt: skip


@st.composite
def recipient_events(draw: st.DrawFn) -> RecipientEvent:
    """Mostly a usual event. Few values of each field, so that ties and conflicts are common."""
    kind = draw(st.sampled_from([*USUAL * 4, *EventKind]))
    at = draw(st.sampled_from(TIMES))
    needs_failure = kind in (EventKind.FAILED, EventKind.REJECTED)
    known = draw(st.integers(0, 9)) > 0 or kind not in (*USUAL[1:], EventKind.FAILED, EventKind.REPLIED)
    wamids = [Wamid(text) for text in ("wamid.1a", "wamid.1B", "wamid.2a", "wamid.é", "wamid.3", "wamid.4")]
    return RecipientEvent(
        kind=kind,
        campaign_id=CAMPAIGN,
        recipient_id=draw(st.sampled_from([*PEOPLE * 4, GONE])) if known else None,
        attempt=draw(st.sampled_from([1, 1, 1, 2, 62])) if known else None,
        wamid=draw(st.sampled_from([*wamids, None] if known else wamids)),
        phone_number_id=draw(st.sampled_from([NUMBER_ID, NUMBER_ID, "another", None])),
        occurred_at=at,
        received_at=draw(st.sampled_from([at, START])),
        failure=Failure(code=131026, reason="no", retry_class=RetryClass.NEVER, backoff_s=0) if needs_failure else None,
        skip_reason="opted_out" if kind is EventKind.SKIPPED else None,
        not_before=at if kind in (EventKind.DEFERRED, EventKind.EXPIRED) else None,
        held_for_quality=draw(st.integers(0, 9)) == 0,
        pricing=draw(
            st.sampled_from([None, *(Pricing(type=t, category=c) for t in ("a", "free") for c in ("utility", "Y"))])
        ),
        also_known_as=draw(st.sampled_from([None, None, None, ["491700000001"], ["user:US.1", "15550000001"]])),
        origin=draw(st.sampled_from([None, Origin(topic="webhooks.raw", partition=1, offset=2)])),
    )


@st.composite
def values(draw: st.DrawFn) -> bytes:
    """The value of a record: as its writer made it, or changed."""
    encoded = encode(draw(recipient_events()))
    match draw(st.sampled_from(["as written"] * 6 + ["field", "field", "field", "bytes"])):
        case "field":
            return _with_changed_field(draw, json.loads(encoded))
        case "bytes":
            place = draw(st.integers(0, len(encoded)))
            put = draw(st.sampled_from([b"", b" ", b"\xff", b"\x00", b"},{", b'"', b"1", b"\\ud800", b"\xef\xbb\xbf"]))
            return encoded[:place] + put + encoded[place + draw(st.integers(0, 2)) :]
        case _:
            return encoded


def _with_changed_field(draw: st.DrawFn, fields: dict[str, Any]) -> bytes:
    name = draw(st.sampled_from([*RecipientEvent.model_fields, "new", "kind "]))
    leaf = draw(st.sampled_from(LEAVES))
    match draw(st.sampled_from(["set", "set", "drop", "twice", "reversed"])):
        case "set":
            fields[name] = leaf
        case "drop":
            fields.pop(name, None)
        case "twice":
            more = json.dumps({name: leaf})[1:]
            return json.dumps(fields)[:-1].encode() + b", " + more.encode()
        case _:
            fields = dict(reversed(fields.items()))
    return json.dumps(fields, ensure_ascii=draw(st.booleans())).encode()


MANY = settings(max_examples=300, deadline=None)


@MANY
@given(values())
def test_what_the_fast_decoder_reads_means_the_same_to_the_general_one(value: bytes) -> None:
    usual = decode_usual(value)
    if usual is None:
        return
    at, is_usual_zone = time_of(usual.occurred_at), usual.received_at.tzinfo is UTC
    recipient, campaign = id_of(usual.recipient_id), id_of(usual.campaign_id)
    if at is None or not is_usual_zone or recipient is None or campaign is None:
        return
    event = decode(RecipientEvent, value)
    assert abs(event.received_at - usual.received_at) <= timedelta(microseconds=1)  # it rounds the seventh decimal
    pricing = None if usual.pricing is None else Pricing(type=usual.pricing.type, category=usual.pricing.category)
    assert event == RecipientEvent(
        producer=usual.producer, kind=EventKind(usual.kind), campaign_id=CampaignId(UUID(bytes=campaign)),
        recipient_id=RecipientId(UUID(bytes=recipient)), attempt=usual.attempt, wamid=Wamid(usual.wamid),
        phone_number_id=usual.phone_number_id, occurred_at=at, received_at=event.received_at,
        held_for_quality=usual.held_for_quality, pricing=pricing, also_known_as=usual.also_known_as,
        origin=event.origin,
    )  # fmt: skip


@pytest.mark.parametrize("kind", USUAL)
def test_what_our_writers_write_is_read_fast(kind: EventKind) -> None:
    """Otherwise the fast way would be right and never used."""
    event = RecipientEvent(
        producer="campaign-streams/0.1", kind=kind, campaign_id=CAMPAIGN, recipient_id=PEOPLE[0], attempt=62,
        wamid=Wamid("wamid.é\U0001f600"), phone_number_id=NUMBER_ID, occurred_at=START,
        received_at=START + timedelta(microseconds=1), held_for_quality=True, pricing=Pricing(category="marketing"),
        also_known_as=["user:US.13491208655302741918"],
        origin=Origin(topic="webhooks.raw", partition=1, offset=2, index=3),
    )  # fmt: skip
    folded = fold_usual([decode_usual(encode(event))], START)
    assert (folded.events, folded.unusual) == (1, [])


@MANY
@given(st.lists(values(), max_size=12))
def test_the_usual_fold_is_the_fold_of_the_domain(batch: list[bytes]) -> None:
    created_at = dict.fromkeys(PEOPLE, LONG_AGO)
    latest = datetime(2030, 1, 1, tzinfo=UTC)
    usual = _fold_of_known(batch, latest)
    events = [_decoded(value) for value in batch]
    others = fold([event for at in usual.unusual if (event := events[at]) is not None], created_at, set(), latest)
    whole = fold([event for event in events if event is not None], created_at, set(), latest)
    if add_usual(others, usual):
        assert (others.facts, others.messages, others.erased) == (whole.facts, whole.messages, whole.erased)


@MANY
@given(st.lists(values(), max_size=12))
def test_a_divided_fold_has_each_recipient_and_wamid_once(batch: list[bytes]) -> None:
    created_at = dict.fromkeys(PEOPLE, LONG_AGO)
    latest = datetime(2030, 1, 1, tzinfo=UTC)
    usual = _fold_of_known(batch, latest)
    events = [event for at in usual.unusual if (event := _decoded(batch[at])) is not None]
    whole, divided = (fold(events, created_at, set(), latest) for _ in range(2))
    rest = divide(divided, usual)
    assert (rest is None) is not add_usual(whole, usual)
    if rest is not None:
        assert not {str(person) for person in divided.facts} & rest.facts.keys()
        assert not divided.messages.keys() & rest.messages.keys()
        assert add_usual(divided, rest)
        assert (divided.facts, divided.messages) == (whole.facts, whole.messages)


def _fold_of_known(batch: list[bytes], latest: datetime) -> UsualFold:
    """Fold the usual events of people with a row. A changed byte may name another person, and Postgres refuses it."""
    events = [decode_usual(value) for value in batch]
    strangers = {event.recipient_id for event in events if event is not None} - {str(person) for person in PEOPLE}
    return fold_usual(events, latest, without=frozenset(strangers))


def _decoded(value: bytes) -> RecipientEvent | None:
    try:
        return decode(RecipientEvent, value)
    except Malformed:
        return None


@dataclass
class Seen:
    """What one of the two ways leaves behind."""

    letters: list[tuple[str, str, str]] = field(default_factory=list)
    counted: int = 0
    tables: dict[str, list[Any]] = field(default_factory=dict)
    measured: dict[str, float] = field(default_factory=dict)


class CapturedLetters(DeadLetters):
    """Dead letters that are kept here instead of in Kafka."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen

    async def publish(self, dead: Sequence[DeadItem], items: int, *, is_divisible: bool = True) -> None:
        self._seen.letters += [(str(item.origin), item.reason, item.error) for item in dead]
        self._seen.counted += items


TABLES = {
    "campaign_recipients": "updated_at", "messages": "first_seen_at", "double_sends": "seen_at", "foreign_statuses": "",
    "person_links": "", "held_events": "", "sink_offsets": "updated_at",
}  # fmt: skip
COUNTERS = """
SELECT dimension, key, sum(n)::int FROM campaign_counter_deltas GROUP BY 1, 2 HAVING sum(n) <> 0 ORDER BY 1, 2
"""
MEASURED = (metrics.SINK_EVENTS, metrics.SINK_ROWS, metrics.SINK_DOUBLE_SENDS, metrics.SINK_ERASED)


class Database:
    """A loop and a connection that last for all examples."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.runner = asyncio.Runner()
        self.connection: Connection = self.runner.run(connect(url, application_name="test"))

    def close(self) -> None:
        self.runner.run(self.connection.close())
        self.runner.close()

    async def begin(self) -> None:
        for table in (*TABLES, "campaign_counter_deltas", "campaign_counters", "marketing_campaigns"):
            await self.connection.execute(f"DELETE FROM {table}".encode())
        await self.connection.execute(
            "INSERT INTO marketing_campaigns (id, name, template_name, language_code, phone_number_id, status,"
            " created_at) VALUES (%s, 'c', 't', 'en', %s, 'active', %s)",
            [CAMPAIGN, NUMBER_ID, START - timedelta(hours=1)],
        )
        for number, person in enumerate(PEOPLE):
            await self.connection.execute(
                "INSERT INTO campaign_recipients (id, campaign_id, phone_number, attempt, created_at)"
                " VALUES (%s, %s, %s, %s, %s)",
                [person, CAMPAIGN, str(15_550_000_000 + number), number, START],
            )
        await offsets.accept_topic(self.connection, TOPIC, {0: (0, 10**6)})

    async def write(self, batches: Sequence[Sequence[Record]], *, is_ahead: bool = False) -> Seen:
        """Write batches with a new writer, each prepared beside the one before if `is_ahead`; read what they left."""
        await self.begin()
        seen, before = Seen(), [each._value.get() for each in MEASURED]
        writer = BatchWriter(
            Settings.model_validate({"kafka_bootstrap_servers": "x:1", "database_url": self.url}), TOPIC,
            BatchLetters(CapturedLetters(seen)),
        )  # fmt: skip
        position = 0
        if is_ahead:
            await writer.foresee(batches[0])
        for records, following in zip_longest(batches, batches[1:]):
            moves = moves_of(last_offsets(records), {0: position})
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(writer.write(records, moves))
                if is_ahead and following is not None:
                    tasks.create_task(writer.foresee(following))
            position = moves[0][1]
        await writer.close()
        for table, unstable in TABLES.items():
            query = f"SELECT to_jsonb(t) - '{unstable}' FROM {table} AS t ORDER BY t::text COLLATE \"C\""
            rows = await (await self.connection.execute(query.encode())).fetchall()
            seen.tables[table] = sorted((row[0] for row in rows), key=str)
        seen.tables["counters"] = await (await self.connection.execute(COUNTERS)).fetchall()
        after = [each._value.get() for each in MEASURED]
        seen.measured = {each._name: new - old for each, new, old in zip(MEASURED, after, before, strict=True)}
        return seen


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    yield opened
    opened.close()


async def take_nothing(_: Connection, records: Sequence[Record]) -> UsualPart:
    """Leaves every record to the general way."""
    return UsualPart(UsualFold(), (), records)


@st.composite
def batches(draw: st.DrawFn) -> list[list[Record]]:
    """Batches of a history in which records come again."""
    history = draw(st.lists(values(), min_size=1, max_size=14))
    history += draw(st.lists(st.sampled_from(history), max_size=4))
    records = [Record(TOPIC.topic, 0, offset, b"key", value, START) for offset, value in enumerate(history)]
    cuts = sorted(draw(st.sets(st.integers(1, len(records)), max_size=3)) | {0, len(records)})
    return [records[start:end] for start, end in pairwise(cuts)]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches(), st.booleans())
def test_both_ways_write_the_same(database: Database, delivered: list[list[Record]], is_ahead: bool) -> None:
    fast = database.runner.run(database.write(delivered, is_ahead=is_ahead))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sinks.writer.take_usual", take_nothing)
        general = database.runner.run(database.write(delivered))
    assert sorted(fast.letters) == sorted(general.letters)
    assert fast.tables == general.tables
    assert (fast.counted, fast.measured) == (general.counted, general.measured)
