"""The page in a real browser: it is live, survives outages, and recovers without a person."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest
from playwright.sync_api import Browser, expect
from pydantic import SecretStr

from domain.stats import campaign_stats
from runtime.settings import Settings
from schemas.model import CampaignId
from schemas.stats import CampaignStats
from tables.migrate import migrate
from tests.faults.proxy import Proxy
from tests.faults.servers import KafkaServer, PostgresServer, folder_for_servers
from tests.support.served_api import served_api
from topics.snapshots import SnapshotPublisher

RECOVERY_MS = 30_000
CAMPAIGN = {"name": "Spring <b>sale</b>", "template_name": "sale", "language_code": "en_US"}


@pytest.mark.slow
def test_the_page_recovers_when_postgres_returns(
    browser: Browser, database_url: str, kafka: str, topic_prefix: str, tmp_path: Path
) -> None:
    server = urlsplit(database_url)
    assert server.port is not None
    proxy = Proxy(server.port)
    through = server._replace(netloc=f"{server.username}:{server.password}@127.0.0.1:{proxy.port}").geturl()
    try:
        with served_api(through, kafka, topic_prefix, tmp_path) as api:
            httpx.post(f"{api.url}/api/marketing/campaigns", json=CAMPAIGN).raise_for_status()
            page = browser.new_page()
            page.goto(api.url)
            listed = page.get_by_role("link", name="Spring <b>sale</b>", exact=True)
            expect(listed).to_be_visible()
            expect(page.get_by_text("Postgres does not answer")).to_have_count(0)

            proxy.cut()
            expect(page.get_by_text("Postgres does not answer")).to_be_visible(timeout=RECOVERY_MS)
            expect(listed).to_be_visible()

            proxy.restore()
            expect(page.get_by_text("Postgres does not answer")).to_have_count(0, timeout=RECOVERY_MS)
            later = {**CAMPAIGN, "name": "Later"}
            httpx.post(f"{api.url}/api/marketing/campaigns", json=later).raise_for_status()
            expect(page.get_by_text("Later", exact=True)).to_be_visible(timeout=RECOVERY_MS)
            page.close()
    finally:
        proxy.close()


def _snapshot(campaign: str, seconds: int, sent: int) -> CampaignStats:
    counters = {"funnel/total": 12_345, "funnel/sent": sent, "status/pending": 12_345 - sent}
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return campaign_stats(CampaignId(UUID(campaign)), "Spring", "draft", counters, version=seconds, as_of=at)


def _publish(settings: Settings, *snapshots: CampaignStats) -> None:
    """In another thread, because Playwright's loop runs in this one."""

    async def publish() -> None:
        publisher = SnapshotPublisher(settings)
        await publisher.open()
        await publisher.publish(snapshots)
        await publisher.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(publish())).result()


@pytest.mark.slow
def test_the_page_is_live_and_survives_a_lost_connection(
    browser: Browser, database_url: str, kafka: str, topic_prefix: str, tmp_path: Path
) -> None:
    settings = Settings(kafka_bootstrap_servers=kafka, topic_prefix=topic_prefix, database_url=SecretStr(database_url))
    with served_api(database_url, kafka, topic_prefix, tmp_path) as api:
        proxy = Proxy(api.port)
        try:
            made = httpx.post(f"{api.url}/api/marketing/campaigns", json={**CAMPAIGN, "name": "Spring"}).json()
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{proxy.port}/campaigns/{made['id']}")
            loads = page.evaluate("performance.timeOrigin")
            # The times are ahead of Postgres, so that its own figures do not replace these.
            _publish(settings, _snapshot(made["id"], 1000, 4_120))
            expect(page.get_by_text("4,120 of 12,345 handled")).to_be_visible(timeout=RECOVERY_MS)

            proxy.cut()
            lost = page.get_by_role("status").filter(has_text="Not live since")
            expect(lost).to_be_visible(timeout=RECOVERY_MS)
            expect(page.get_by_text("4,120 of 12,345 handled")).to_be_visible()
            _publish(settings, _snapshot(made["id"], 2000, 9_999))

            proxy.restore()
            expect(page.get_by_text("9,999 of 12,345 handled")).to_be_visible(timeout=RECOVERY_MS)
            expect(lost).to_have_count(0)
            assert page.evaluate("performance.timeOrigin") == loads, "it was not loaded again"
            page.close()
        finally:
            proxy.close()


@pytest.mark.slow
def test_the_page_keeps_its_figures_while_each_server_is_killed(browser: Browser, tmp_path: Path) -> None:
    """Kafka, Postgres and the API are killed one after the other, under one page that is never loaded again."""
    with (
        folder_for_servers() as folder,
        closing(KafkaServer(folder)) as kafka,
        closing(PostgresServer(folder)) as postgres,
    ):
        migrate(postgres.url)
        settings = Settings(
            kafka_bootstrap_servers=kafka.bootstrap_servers, topic_prefix="page.", database_url=SecretStr(postgres.url)
        )
        with closing(Proxy()) as proxy:
            page = browser.new_page()
            with served_api(postgres.url, kafka.bootstrap_servers, "page.", tmp_path) as api:
                proxy.retarget(api.port)
                made = httpx.post(f"{api.url}/api/marketing/campaigns", json={**CAMPAIGN, "name": "Spring"}).json()
                page.goto(f"http://127.0.0.1:{proxy.port}/campaigns/{made['id']}")
                loads = page.evaluate("performance.timeOrigin")
                health = page.locator(".health")
                _publish(settings, _snapshot(made["id"], 1000, 4_120))
                expect(page.get_by_text("4,120 of 12,345 handled")).to_be_visible(timeout=RECOVERY_MS)

                kafka.kill()
                expect(health).to_contain_text("Kafka does not answer since", timeout=RECOVERY_MS)
                expect(page.get_by_text("4,120 of 12,345 handled")).to_be_visible()
                kafka.start()
                expect(health).not_to_contain_text("Kafka does not answer", timeout=RECOVERY_MS)
                _publish(settings, _snapshot(made["id"], 2000, 5_000))
                expect(page.get_by_text("5,000 of 12,345 handled")).to_be_visible(timeout=RECOVERY_MS)

                postgres.kill()
                expect(health).to_contain_text("these figures are not live since", timeout=RECOVERY_MS)
                expect(page.get_by_text("5,000 of 12,345 handled")).to_be_visible()
                postgres.start()
                expect(health).not_to_contain_text("Postgres does not answer", timeout=RECOVERY_MS)

                api.process.child.kill()
                lost = page.get_by_role("status").filter(has_text="Not live since")
                expect(lost).to_be_visible(timeout=RECOVERY_MS)
                expect(page.get_by_text("5,000 of 12,345 handled")).to_be_visible()
            with served_api(postgres.url, kafka.bootstrap_servers, "page.", tmp_path, with_topics=False) as api:
                proxy.retarget(api.port)
                expect(lost).to_have_count(0, timeout=RECOVERY_MS)
                _publish(settings, _snapshot(made["id"], 3000, 9_999))
                expect(page.get_by_text("9,999 of 12,345 handled")).to_be_visible(timeout=RECOVERY_MS)
                assert page.evaluate("performance.timeOrigin") == loads, "it was not loaded again"
            page.close()
