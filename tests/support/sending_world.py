"""A campaign with released recipients on a real Postgres: what claims, sends and sweeps are tried on."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from schemas.jobs import SendJob
from schemas.model import CampaignId, RecipientId
from tables import ledger
from tables.database import Connection, connect
from tables.ledger import ClaimResult

FAR = datetime(2100, 1, 1, tzinfo=UTC)


class World:
    """A campaign with released recipients, and connections to claim on."""

    def __init__(self, connection: Connection, url: str) -> None:
        self.connection = connection
        self.url = url
        self.campaign = CampaignId(uuid4())

    async def start(self) -> None:
        await self.run(
            "INSERT INTO marketing_campaigns (id, name, template_name, language_code, phone_number_id, status)"
            " VALUES (%s, 'c', 't', 'en', '1', 'active')",
            self.campaign,
        )
        await self.run("INSERT INTO campaign_days VALUES (%s, '2026-01-01', 100)", self.campaign)

    async def run(self, sql: Any, *values: object) -> list[tuple[Any, ...]]:
        cursor = await self.connection.execute(sql, values)
        return await cursor.fetchall() if cursor.description else []

    async def release(self, count: int, *, send_before: datetime = FAR, attempt: int = 1) -> list[SendJob]:
        jobs = []
        for _ in range(count):
            phone = str(10_000_000 + uuid4().int % 1_000_000_000)
            rows = await self.run(
                "INSERT INTO campaign_recipients (campaign_id, phone_number, attempt) VALUES (%s, %s, %s) RETURNING id",
                self.campaign,
                phone,
                attempt,
            )
            await self.run(
                "INSERT INTO releases (recipient_id, attempt, campaign_id, phone_number_id, send_before, budget_day)"
                " VALUES (%s, %s, %s, '1', %s, '2026-01-01')",
                rows[0][0],
                attempt,
                self.campaign,
                send_before,
            )
            jobs.append(
                SendJob(
                    campaign_id=self.campaign,
                    recipient_id=RecipientId(rows[0][0]),
                    attempt=attempt,
                    phone_number_id="1",
                    phone_number=phone,
                    template_name="t",
                    language_code="en",
                    send_before=send_before,
                )
            )
        return sorted(jobs, key=lambda job: job.recipient_id)

    async def claim(self, jobs: list[SendJob], *, token: UUID | None = None, lease_s: float = 45) -> list[ClaimResult]:
        answers = await ledger.claim(self.connection, token or uuid4(), jobs, lease_s)
        return [answers[job.recipient_id, job.attempt].verdict for job in jobs]

    async def campaign_is(self, status: str) -> None:
        reason = "test" if status == "paused" else None
        await self.run(
            "UPDATE marketing_campaigns SET status = %s, pause_reason = %s WHERE id = %s", status, reason, self.campaign
        )

    async def count(self, table: str) -> int:
        rows = await self.run(f"SELECT count(*) FROM {table}")
        return int(rows[0][0])

    async def budget_used(self) -> int:
        rows = await self.run("SELECT used FROM campaign_days WHERE campaign_id = %s", self.campaign)
        return int(rows[0][0])

    @contextlib.asynccontextmanager
    async def another(self) -> AsyncIterator[Connection]:
        connection = await connect(
            self.url, application_name="test-2", statement_timeout_s=1.0, session={"lock_timeout": "1000"}
        )
        async with connection:
            yield connection

    async def wait_for_blocked(self, application_name: str) -> None:
        """Until a statement of that application waits for a lock; asked outside of any transaction."""
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND wait_event_type = 'Lock'"
        async with await connect(self.url, application_name="test-observer") as observer, asyncio.timeout(10):
            while await (await observer.execute(waiting, [application_name])).fetchone() == (0,):  # noqa: ASYNC110
                await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def a_world(database_url: str) -> AsyncIterator[World]:
    """A fresh one, with its connection."""
    connection = await connect(database_url, application_name="test-1", statement_timeout_s=5)
    async with connection:
        made = World(connection, database_url)
        await made.start()
        yield made
