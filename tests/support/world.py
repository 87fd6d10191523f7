"""The world of a test: a migrated database with campaigns and recipients in any state, and topics where it needs them.

A world begins with one active campaign without recipients. A test adds the rows that it needs, publishes events and
webhooks, runs sinks, and queries the tables. The world uses Kafka only after `add_topics`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from confluent_kafka import Message

from domain.error_codes import failure
from domain.lifecycle import Action
from runtime.settings import Settings
from schemas.bundles import Body, encode_bundle
from schemas.callback import encode as encode_callback
from schemas.codec import decode, encode
from schemas.events import EventKind, RecipientEvent
from schemas.jobs import SendJob
from schemas.model import CampaignId, RecipientId, Wamid
from schemas.subscriptions import SubscriptionEvent
from schemas.topics import Topic
from sinks import sink
from tables import campaigns, ledger, opt_outs
from tables.campaigns import NewCampaign
from tables.database import Connection, connect
from tables.ledger import ClaimResult
from tables.new_recipients import NewRecipient
from tables.releases import RELEASER_SESSION, Rates, ReleaseStep, release_step
from tests.support.histories import START
from tests.support.kafka_topics import create_topics, put, read_all, wait_for_leaders
from tests.support.released_jobs import add_released
from tests.support.waiting import DEADLINE_S, eventually_async

NUMBER_ID = "106540352242922"
"""The phone number of every campaign for which a test names no other."""
FIRST_PHONE_NUMBER = 15_550_000_000
"""The recipients of a world have this phone number and the numbers after it."""
SECRET = "callback-secret"
FAST = Rates(mps=1000, cap_s=10)
NEVER = datetime(2100, 1, 1, tzinfo=UTC)
_APPLIED = "SELECT coalesce(sum(next_offset), 0)::int FROM sink_offsets WHERE topic = %s"


class World:
    """Builds the state that a test needs, and reads the state that the tested code leaves."""

    campaign: CampaignId
    """The campaign that a method uses where a test names none."""
    settings: Settings
    """The settings of a process in this world. `add_topics` sets them."""

    def __init__(self, connection: Connection, url: str, releaser: Connection | None = None) -> None:
        self.connection = connection
        self.url = url
        self._recipients = 0
        self._releaser = releaser

    # -------------------------------------------------------------------------------------------- campaigns and rows

    async def add_campaign(self) -> CampaignId:
        """Add an active campaign from before the events of `event`."""
        campaign = CampaignId(uuid4())
        await self.run(
            "INSERT INTO marketing_campaigns"
            " (id, name, template_name, language_code, phone_number_id, status, created_at)"
            " VALUES (%s, 'Test Campaign', 'your_template', 'en_US', %s, 'active', %s)",
            campaign, NUMBER_ID, START - timedelta(hours=1),
        )  # fmt: skip
        return campaign

    async def add_recipients(self, count: int, campaign: CampaignId | None = None) -> list[RecipientId]:
        """Add pending recipients with random ids. Return the ids in order."""
        rows = await self.run(
            "INSERT INTO campaign_recipients (id, campaign_id, phone_number)"
            " SELECT gen_random_uuid(), %s, (%s + n)::text FROM generate_series(0, %s - 1) AS n RETURNING id",
            campaign or self.campaign, self._take_phone_numbers(count), count,
        )  # fmt: skip
        return sorted(row[0] for row in rows)

    async def release_jobs(self, count: int, *, send_before: datetime = NEVER, attempt: int = 1) -> list[SendJob]:
        """Add recipients with a release each. Return the jobs in the order of the recipients' ids."""
        return await add_released(
            self.connection, self.campaign, self._take_phone_numbers(count), count,
            number_id=NUMBER_ID, send_before=send_before, attempt=attempt,
        )  # fmt: skip

    async def claim(self, jobs: list[SendJob], *, token: UUID | None = None, lease_s: float = 45) -> list[ClaimResult]:
        answers = await ledger.claim(self.connection, token or uuid4(), jobs, lease_s)
        return [answers[job.recipient_id, job.attempt].verdict for job in jobs]

    async def set_campaign_status(self, status: str) -> None:
        reason = "test" if status == "paused" else None
        await self.run(
            "UPDATE marketing_campaigns SET status = %s, pause_reason = %s WHERE id = %s", status, reason, self.campaign
        )

    def _take_phone_numbers(self, count: int) -> int:
        """The first of `count` phone numbers that no recipient of this world has."""
        first = FIRST_PHONE_NUMBER + self._recipients
        self._recipients += count
        return first

    # ------------------------------------------------------------------------------------------ the work of an operator

    async def create_campaign(
        self,
        recipients: int,
        limit: int | None = None,
        number: str = NUMBER_ID,
        zone: str = "UTC",
        *,
        canary: bool = False,
    ) -> CampaignId:
        """Create a draft as the API does, with a daily limit, and import its recipients."""
        new = NewCampaign("Test Campaign", "your_template", "en_US", limit, number, zone, canary=canary)
        campaign = CampaignId((await campaigns.create(self.connection, new)).id)
        await self.import_recipients(campaign, recipients)
        return campaign

    async def start_campaign(
        self,
        recipients: int,
        limit: int | None = None,
        number: str = NUMBER_ID,
        zone: str = "UTC",
        *,
        canary: bool = False,
    ) -> CampaignId:
        """Create a campaign and activate it, which plans its recipients."""
        campaign = await self.create_campaign(recipients, limit, number, zone, canary=canary)
        await self.act(campaign, Action.ACTIVATE)
        return campaign

    async def import_recipients(self, campaign: CampaignId, count: int) -> None:
        first = self._take_phone_numbers(count)
        new = [NewRecipient(str(first + n)) for n in range(count)]
        await campaigns.add_recipients(self.connection, campaign, new)

    async def act(self, campaign: CampaignId, action: Action) -> None:
        """Do what an operator does to a campaign."""
        await campaigns.act(self.connection, campaign, action)

    async def attribute_opt_outs(self) -> None:
        """Attribute every opt-out to the message that it follows, as the last round does."""
        await self.run("UPDATE opt_outs SET rounds = 0, attribute_at = '-infinity'")
        await opt_outs.attribute_due(self.connection, 10_000)

    async def release(self, rates: Rates = FAST) -> ReleaseStep:
        """Do one step of the scheduler."""
        return await release_step(await self.releaser(), rates)

    async def releaser(self) -> Connection:
        """The connection of a scheduler. It opens with the first call."""
        if self._releaser is None:
            self._releaser = await connect(self.url, application_name="test-releaser", session=RELEASER_SESSION)
        return self._releaser

    async def close(self) -> None:
        if self._releaser is not None:
            await self._releaser.close()

    # --------------------------------------------------------------------------------------------------------- queries

    async def run(self, sql: Any, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement. Return its rows, if it has any."""
        cursor = await self.connection.execute(sql, values)
        return await cursor.fetchall() if cursor.description else []

    async def value(self, sql: Any, *values: object) -> Any:
        """The first value of the first row, or None without a row."""
        rows = await self.run(sql, *values)
        return rows[0][0] if rows else None

    async def wait_for_value(self, expected: object, sql: Any, *values: object, deadline_s: float = DEADLINE_S) -> None:
        async def has_value() -> bool:
            return bool(await self.value(sql, *values) == expected)

        await eventually_async(has_value, deadline_s)

    async def count(self, table: str) -> int:
        return int(await self.value(f"SELECT count(*) FROM {table}"))

    async def statuses(self, campaign: CampaignId) -> dict[str, int]:
        """The number of recipients of each status."""
        sql = "SELECT status, count(*) FROM campaign_recipients WHERE campaign_id = %s GROUP BY 1"
        return dict(await self.run(sql, campaign))

    async def budget_used(self, campaign: CampaignId | None = None) -> int:
        """The used budget of all days."""
        sql = "SELECT sum(used) FROM campaign_days WHERE campaign_id = %s"
        return int(await self.value(sql, campaign or self.campaign) or 0)

    # ---------------------------------------------------------------------------------------------- other connections

    @contextlib.asynccontextmanager
    async def another(self, application_name: str = "test-other", **session: str) -> AsyncIterator[Connection]:
        """Another connection, with these settings of the server session."""
        async with await connect(self.url, application_name=application_name, session=session) as connection:
            yield connection

    async def wait_for_blocked(self, application_name: str) -> None:
        """Wait until a statement of that application waits for a lock. The observer has no transaction of its own."""
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND wait_event_type = 'Lock'"
            " AND datname = current_database()"
        )
        async with self.another("test-observer") as observer, asyncio.timeout(10):
            while await (await observer.execute(waiting, [application_name])).fetchone() == (0,):  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    # ----------------------------------------------------------------------------------------------------------- Kafka

    async def add_topics(self, settings: Settings) -> None:
        """Create the topics that a sink and a reconciler read, and their topics of dead letters."""
        self.settings = settings
        topics = [self.events, self.webhooks, self.subscriptions, settings.topic(Topic.CAMPAIGN_CONTROL)]
        await asyncio.to_thread(create_topics, self.kafka, *topics)
        await asyncio.to_thread(create_topics, self.kafka, *(topic + ".dead" for topic in topics), partitions=1)
        await asyncio.to_thread(wait_for_leaders, settings, *topics)

    @property
    def kafka(self) -> str:
        return self.settings.kafka_bootstrap_servers

    @property
    def events(self) -> str:
        return self.settings.topic(Topic.RECIPIENT_EVENTS)

    @property
    def subscriptions(self) -> str:
        return self.settings.topic(Topic.SUBSCRIPTION_EVENTS)

    @property
    def webhooks(self) -> str:
        return self.settings.topic(Topic.WEBHOOKS_RAW)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a command that runs as a process."""
        return {
            "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": self.kafka,
            "CAMPAIGNS_DATABASE_URL": self.url,
            "CAMPAIGNS_TOPIC_PREFIX": self.settings.topic_prefix,
            "CAMPAIGNS_CALLBACK_SECRET": SECRET,
        }

    def event(self, recipient: RecipientId, kind: EventKind, minutes: float = 0, **fields: Any) -> RecipientEvent:
        """An event of the first attempt, so many minutes after the start."""
        at = START + timedelta(minutes=minutes)
        known: dict[str, Any] = {
            "recipient_id": recipient, "campaign_id": self.campaign, "attempt": 1, "wamid": Wamid(f"wamid.{recipient}"),
            "phone_number_id": NUMBER_ID, "occurred_at": at, "received_at": at,
        }  # fmt: skip
        return RecipientEvent(kind=kind, **(known | fields))

    def retryable_failure(self, recipient: RecipientId, minutes: float = 0, **fields: Any) -> RecipientEvent:
        failed = failure(131000, "Something went wrong", attempt=1, from_webhook=True, time_scale=1)
        return self.event(recipient, EventKind.FAILED, minutes, failure=failed, **fields)

    def status(self, recipient: RecipientId, word: str, minutes: float = 0, **fields: Any) -> dict[str, Any]:
        """A status of a webhook, with our callback data."""
        ours = encode_callback(SECRET.encode(), "default", self.campaign, recipient, 1)
        stamp = int((START + timedelta(minutes=minutes)).timestamp())
        known = {"id": f"wamid.{recipient}", "status": word, "timestamp": str(stamp), "biz_opaque_callback_data": ours}
        return known | fields

    async def publish(self, topic: str, *records: tuple[bytes | None, bytes]) -> None:
        """Publish records, each a key and a value."""
        await asyncio.to_thread(put, self.kafka, topic, records)

    async def publish_subscriptions(self, *events: SubscriptionEvent) -> None:
        """Publish opt-outs and opt-ins."""
        await self.publish(self.subscriptions, *((event.key, encode(event)) for event in events))

    async def publish_events(self, *events: RecipientEvent) -> None:
        await self.publish(self.events, *((event.key, encode(event)) for event in events))

    async def publish_webhook(
        self, *statuses: dict[str, Any], received_at: datetime = START + timedelta(hours=1)
    ) -> None:
        """Publish one webhook with these statuses."""
        body = Body(int(received_at.timestamp() * 1_000_000), json.dumps({"statuses": statuses}).encode())
        await self.publish(self.webhooks, (None, encode_bundle([body])))

    async def read(self, topic: str) -> list[Message]:
        """All records of a topic."""
        return await asyncio.to_thread(read_all, self.kafka, topic)

    async def read_events(self) -> list[RecipientEvent]:
        return [decode(RecipientEvent, record.value()) for record in await self.read(self.events)]

    @contextlib.asynccontextmanager
    async def running_sinks(self, count: int = 1) -> AsyncIterator[None]:
        stop = asyncio.Event()
        tasks = [asyncio.create_task(sink.run(self.settings, stop)) for _ in range(count)]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*tasks)

    async def applied_offsets(self) -> dict[int, int]:
        """The next offset of the sinks in each partition of the events. The subscriptions have offsets of their own."""
        return dict(
            await self.run("SELECT topic_partition, next_offset FROM sink_offsets WHERE topic = %s", self.events)
        )

    async def applied_records(self) -> int:
        """How many records of the events the sinks have applied in total."""
        return int(await self.value(_APPLIED, self.events))

    async def wait_for_applied(self, records: int, topic: str | None = None) -> None:
        """Wait until the sinks have applied so many records of a topic, or of the events, in total."""
        await self.wait_for_value(records, _APPLIED, topic or self.events)

    async def apply(self, *events: RecipientEvent) -> None:
        """Publish events, and run a sink until it has applied them."""
        applied = await self.applied_records()
        async with self.running_sinks():
            await self.publish_events(*events)
            await self.wait_for_applied(applied + len(events))


@contextlib.asynccontextmanager
async def open_world(url: str) -> AsyncIterator[World]:
    """A world on this database, which has a schema and no campaign yet."""
    async with await connect(url, application_name="test") as connection:
        world = World(connection, url)
        world.campaign = await world.add_campaign()
        try:
            yield world
        finally:
            await world.close()
