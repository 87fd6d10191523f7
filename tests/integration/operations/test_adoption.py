"""A table of the original shape is adopted in batches: resumable, exact, and without a second message to anybody."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import pytest

from domain.adoption import RefusedRow
from domain.lifecycle import Action, ActionNotAllowed
from operations import adoption
from operations.adoption import AnotherSource, adopt_table, judge_table
from runtime.settings import Settings
from schemas.codec import decode
from schemas.events import RecipientEvent
from schemas.places import Outgoing
from tables import adoptions, campaigns, drafts
from tables.adoptions import SourceTable, UnusableTable
from tables.campaigns import Campaign, NewCampaign
from tables.database import Connection, connect
from tables.new_recipients import NewRecipient
from tables.recipients import MERGE_SESSION
from tests.support.world import NUMBER_ID, World
from topics.memory import MemoryPublisher
from topics.publisher import PUBLISH_TIMEOUT_S, PublishFailed

ORIGINAL = """
CREATE SCHEMA original;
CREATE TABLE original.campaign_recipients (
    id uuid PRIMARY KEY, campaign_id bigint, phone_number varchar(20), status varchar(20),
    whatsapp_message_id varchar(255), scheduled_send_date date, sent_at timestamp, delivered_at timestamp,
    read_at timestamp, failed_at timestamp, failure_reason text, retry_count integer DEFAULT 0,
    max_retries integer DEFAULT 3, template_parameters jsonb, created_at timestamp DEFAULT '2026-01-01',
    updated_at timestamp DEFAULT '2026-01-02');
INSERT INTO original.campaign_recipients (id, campaign_id, phone_number, status, whatsapp_message_id, sent_at,
                                          delivered_at, read_at, failed_at, failure_reason)
SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, campaign, phone, status, wamid,
       sent::timestamp, delivered::timestamp, read::timestamp, failed::timestamp, reason
FROM (VALUES
    (1, 42, '+14694650001', 'pending', NULL, NULL, NULL, NULL, NULL, NULL),
    (2, 42, '+14694650002', 'sent', 'wamid.2', '2026-01-01', NULL, NULL, NULL, NULL),
    (3, 42, '+14694650003', 'read', 'wamid.3', '2026-01-01', '2026-01-01 00:01', '2026-01-01 00:02', NULL, NULL),
    (4, 42, '+14694650004', 'failed', 'wamid.4', '2026-01-01', NULL, NULL, '2026-01-01 00:01', '131026: undeliverable'),
    (5, 42, '+14694650005', 'queued', NULL, NULL, NULL, NULL, NULL, NULL),
    (6, 42, 'not a number', 'pending', NULL, NULL, NULL, NULL, NULL, NULL),
    (7, 42, '+1 469 465 0002', 'pending', NULL, NULL, NULL, NULL, NULL, NULL),
    (8, 43, '+14694650008', 'pending', NULL, NULL, NULL, NULL, NULL, NULL),
    (9, 42, '+14694650009', 'pending', NULL, NULL, NULL, NULL, NULL, NULL)
) AS v (n, campaign, phone, status, wamid, sent, delivered, read, failed, reason)
"""
ROWS = """
SELECT phone_number, status, whatsapp_message_id, failure_code, next_attempt_at IS NOT NULL
FROM campaign_recipients WHERE campaign_id = %s ORDER BY phone_number
"""
EXPECTED = [
    ("14694650001", "pending", None, None, False),
    ("14694650002", "sent", "wamid.2", None, False),
    ("14694650003", "read", "wamid.3", None, False),
    ("14694650004", "failed", "wamid.4", 131026, False),
    ("14694650005", "unknown", None, None, False),
    ("14694650009", "pending", None, None, False),
]


class Kafka(MemoryPublisher):
    """Keeps what is published, and fails once at the batch with this number."""

    def __init__(self, fails_at: int | None = None) -> None:
        super().__init__()
        self._fails_at = fails_at
        self._batches = 0

    async def publish_batch(
        self, records: Sequence[Outgoing], timeout_s: float = PUBLISH_TIMEOUT_S
    ) -> list[tuple[int, int]]:
        self._batches += 1
        if self._batches == self._fails_at:
            raise PublishFailed("Kafka is away")
        return await super().publish_batch(records, timeout_s)

    def events(self) -> list[RecipientEvent]:
        return [decode(RecipientEvent, each.value or b"") for each in self.records]


@pytest.fixture
async def merging(world: World) -> AsyncIterator[Connection]:
    """The connection of an adoption, to a database with an original table."""
    await world.connection.execute(ORIGINAL)
    async with await connect(world.url, application_name="test-adoption", session=MERGE_SESSION) as opened:
        yield opened


@pytest.fixture
def plain() -> Settings:
    return Settings(kafka_bootstrap_servers="127.0.0.1:1", database_url="postgresql://127.0.0.1:1/x")


async def draft(world: World) -> Campaign:
    return await campaigns.create(world.connection, NewCampaign("Sale", "offer", "en_US", None, NUMBER_ID, "UTC"))


async def source(connection: Connection, **mapping: str) -> SourceTable:
    return await adoptions.find_table(connection, "original.campaign_recipients", mapping, ("campaign_id", "42"))


async def test_a_table_is_adopted_once_and_exactly(world: World, merging: Connection, plain: Settings) -> None:
    campaign, table, kafka = await draft(world), await source(merging), Kafka()
    left: list[RefusedRow] = []
    judged = await judge_table(merging, table, campaign, left.extend)
    assert (judged.rows, judged.refused) == (8, {"not_a_phone_number": 1})
    assert await world.run(ROWS, campaign.id) == [], "a judgement writes nothing"
    left.clear()
    totals = await adopt_table(plain, merging, kafka, table, campaign, left.extend)
    assert await world.run(ROWS, campaign.id) == EXPECTED
    assert {str(status): n for status, n in totals.adopted.items()} == {
        "pending": 2, "sent": 1, "read": 1, "failed": 1, "unknown": 1,
    }  # fmt: skip
    assert [(each.key[-1], str(each.reason)) for each in left] == [
        ("6", "not_a_phone_number"),
        ("7", "already_present"),
    ]
    assert [each.kind.value for each in kafka.events()] == [
        "accepted", "accepted", "delivered", "read", "failed", "accepted", "unknown",
    ]  # fmt: skip
    again = await adopt_table(plain, merging, kafka, table, campaign, left.extend)
    assert (again.rows, await world.run(ROWS, campaign.id)) == (0, EXPECTED)
    progress = await adoptions.begin(world.connection, campaign.id, table.text)
    assert (progress.adopted, progress.refused, progress.ended_at is not None) == (6, 2, True)


async def test_adopted_messages_count_towards_the_frequency_cap_from_the_time_of_their_rows(
    world: World, merging: Connection, plain: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adoption, "BATCH_ROWS", 3)
    await merging.execute(
        "UPDATE original.campaign_recipients SET sent_at = now() - interval '10 days' WHERE id::text ~ '[24]$'"
    )
    campaign, table, kafka = await draft(world), await source(merging), Kafka(fails_at=2)
    with pytest.raises(PublishFailed):
        await adopt_table(plain, merging, kafka, table, campaign, lambda _: None)
    await adopt_table(plain, merging, kafka, table, campaign, lambda _: None)
    notes = await world.run(
        "SELECT person, attempt, now() - released_at < '10 days 1 hour' FROM person_attempts ORDER BY 1"
    )
    assert notes == [("14694650002", 1, True), ("14694650004", 1, True)], "a send of January counts in no cap"
    counted = "SELECT n, EXISTS (SELECT FROM counted_attempts(n, gen_random_uuid(), %s)) FROM unnest(%s::text[]) AS n"
    people = [f"1469465000{n}" for n in range(1, 6)]
    assert [n for n, is_counted in await world.run(counted, 30, people) if is_counted] == ["14694650002"], "4 failed"
    assert [n for n, is_counted in await world.run(counted, 9, people) if is_counted] == []


async def test_only_those_who_wait_are_released(world: World, merging: Connection, plain: Settings) -> None:
    campaign = await draft(world)
    await adopt_table(plain, merging, Kafka(), await source(merging), campaign, lambda _: None)
    await campaigns.act(world.connection, campaign.id, Action.ACTIVATE)
    assert sorted(job.recipient_name for job in (await world.release()).jobs) == ["14694650001", "14694650009"]
    assert (await world.release()).jobs == ()
    known = await world.run("SELECT wamid, attempt FROM messages ORDER BY 1")
    assert known == [("wamid.2", 1), ("wamid.3", 1), ("wamid.4", 1)], "later statuses find their rows"


@pytest.mark.parametrize("fails_at", [1, 2, 3])
async def test_an_interrupted_adoption_goes_on_and_publishes_what_is_missing(
    world: World, merging: Connection, plain: Settings, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    monkeypatch.setattr(adoption, "BATCH_ROWS", 3)
    campaign, table, kafka = await draft(world), await source(merging), Kafka(fails_at)
    with pytest.raises(PublishFailed):
        await adopt_table(plain, merging, kafka, table, campaign, lambda _: None)
    await adopt_table(plain, merging, kafka, table, campaign, lambda _: None)
    assert await world.run(ROWS, campaign.id) == EXPECTED
    assert sorted(each.kind.value for each in kafka.events()) == [
        "accepted", "accepted", "accepted", "delivered", "failed", "read", "unknown",
    ]  # fmt: skip
    progress = await adoptions.begin(world.connection, campaign.id, table.text)
    assert (progress.adopted, progress.refused) == (6, 2)


async def test_people_whom_the_campaign_has_are_left_as_they_are(
    world: World, merging: Connection, plain: Settings
) -> None:
    campaign = await draft(world)
    await campaigns.add_recipients(world.connection, campaign.id, [NewRecipient("14694650003", ["mine"])])
    left: list[RefusedRow] = []
    await adopt_table(plain, merging, Kafka(), await source(merging), campaign, left.extend)
    assert "already_present" in {str(each.reason) for each in left if each.key.endswith("3")}
    [[status, parameters]] = await world.run(
        "SELECT status, template_parameters FROM campaign_recipients WHERE phone_number = '14694650003'"
    )
    assert (status, parameters) == ("pending", ["mine"])


async def test_a_draft_takes_over_one_table_and_is_not_deleted_then(
    world: World, merging: Connection, plain: Settings
) -> None:
    campaign, table = await draft(world), await source(merging)
    await adopt_table(plain, merging, Kafka(), table, campaign, lambda _: None)
    whole = await adoptions.find_table(merging, "original.campaign_recipients", {}, None)
    with pytest.raises(AnotherSource, match="where campaign_id = 42 already"):
        await adopt_table(plain, merging, Kafka(), whole, campaign, lambda _: None)
    with pytest.raises(ActionNotAllowed, match="stays on record"):
        await drafts.delete(world.connection, campaign.id)
    await campaigns.act(world.connection, campaign.id, Action.ACTIVATE)
    active = await campaigns.read(world.connection, campaign.id)
    with pytest.raises(ActionNotAllowed, match="only a draft"):
        await adopt_table(plain, merging, Kafka(), table, active, lambda _: None)


@pytest.mark.parametrize(
    ("name", "mapping", "only", "text"),
    [
        ("original.missing", {}, None, "There is no table"),
        ("original.campaign_recipients", {"phone": "x"}, None, "No column phone is taken over"),
        ("original.campaign_recipients", {"phone_number": "msisdn"}, None, "has no column msisdn"),
        ("original.campaign_recipients", {}, ("tenant", "1"), "has no column tenant"),
    ],
)
async def test_a_table_that_does_not_fit_is_named(
    merging: Connection, name: str, mapping: dict[str, str], only: tuple[str, str] | None, text: str
) -> None:
    with pytest.raises(UnusableTable, match=text):
        await adoptions.find_table(merging, name, mapping, only)


async def test_columns_with_other_names_and_keys_of_other_types_are_mapped(
    world: World, merging: Connection, plain: Settings
) -> None:
    await world.connection.execute(
        'CREATE TABLE original.other (n bigint PRIMARY KEY, "Mobile No" text, state text);'
        "INSERT INTO original.other SELECT n, '1469465000' || n, 'pending' FROM generate_series(1, 9) AS n"
    )
    mapping = {"id": "n", "phone_number": "Mobile No", "status": "state"}
    table = await adoptions.find_table(merging, "original.other", mapping, None)
    campaign = await draft(world)
    totals = await adopt_table(plain, merging, Kafka(), table, campaign, lambda _: None)
    assert (totals.rows, totals.refused.total()) == (9, 0)
    ids = await world.run("SELECT id FROM campaign_recipients WHERE campaign_id = %s", campaign.id)
    assert len({row[0] for row in ids}) == 9
    assert all(isinstance(row[0], UUID) for row in ids)


async def test_odd_times_stop_no_other_row(world: World, merging: Connection, plain: Settings) -> None:
    await world.connection.execute(
        "CREATE TABLE original.odd (id int PRIMARY KEY, phone_number text, status text, sent_at date,"
        " read_at timestamptz);"
        "INSERT INTO original.odd VALUES (1, '14694650001', 'pending', '-infinity', NULL),"
        " (2, '14694650002', 'sent', '2026-01-01', 'infinity'), (3, '14694650003', 'sent', '2026-01-01', NULL),"
        " (4, '14694650004', 'pending', NULL, NULL)"
    )
    campaign, left = await draft(world), list[RefusedRow]()
    table = await adoptions.find_table(merging, "original.odd", {}, None)
    await adopt_table(plain, merging, Kafka(), table, campaign, left.extend)
    assert [(each.key, str(each.reason)) for each in left] == [("2", "time_in_future")]
    rows = await world.run(
        "SELECT phone_number, status, sent_at::date::text FROM campaign_recipients WHERE campaign_id = %s ORDER BY 1",
        campaign.id,
    )
    assert rows == [
        ("14694650001", "sent", "1970-01-01"), ("14694650003", "sent", "2026-01-01"), ("14694650004", "pending", None),
    ]  # fmt: skip


async def test_a_column_of_texts_is_no_time(world: World, merging: Connection) -> None:
    await world.connection.execute(
        "CREATE TABLE original.texts (id int PRIMARY KEY, phone_number text, status text, sent_at text)"
    )
    with pytest.raises(UnusableTable, match=r"sent_at of original\.texts is text, not a time"):
        await adoptions.find_table(merging, "original.texts", {}, None)
