"""The page at `/` in a real browser: it survives an outage of Postgres, and recovers without a person."""

from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.faults.proxy import Proxy
from tests.support.served_api import served_api

RECOVERY_MS = 30_000


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
            campaign = {"name": "Spring <b>sale</b>", "template_name": "sale", "language_code": "en_US"}
            httpx.post(f"{api.url}/api/marketing/campaigns", json=campaign).raise_for_status()
            page = browser.new_page()
            page.goto(api.url)
            expect(page.get_by_text("Spring <b>sale</b>")).to_be_visible()

            proxy.cut()
            expect(page.get_by_text("Postgres does not answer")).to_be_visible(timeout=RECOVERY_MS)

            proxy.restore()
            expect(page.get_by_text("Spring <b>sale</b>")).to_be_visible(timeout=RECOVERY_MS)
            page.close()
    finally:
        proxy.close()
