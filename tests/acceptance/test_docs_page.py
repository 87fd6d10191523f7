"""The page `/docs` in a real browser without a network: it shows the operations, and tries one with a key."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.served_api import served_api


@pytest.mark.slow
def test_the_documentation_works_without_a_network(
    browser: Browser, database_url: str, kafka: str, topic_prefix: str, tmp_path: Path
) -> None:
    with served_api(database_url, kafka, topic_prefix, tmp_path, with_key=True) as api:
        page = browser.new_page(viewport={"width": 1200, "height": 1600})
        requested: list[str] = []
        complaints: list[str] = []
        page.on("request", lambda request: requested.append(request.url))
        page.on("console", lambda line: complaints.append(line.text) if line.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))

        page.goto(f"{api.url}/docs")
        page.locator("#operations-campaigns-create_campaign").wait_for()
        assert page.locator(".opblock").count() >= 16

        page.get_by_role("button", name="Authorize").first.click()
        dialog = page.locator(".auth-container").first
        dialog.get_by_role("textbox").fill(api.key)
        dialog.get_by_role("button", name="Apply credentials").click()
        page.get_by_role("button", name="Close").first.click()
        listed = page.locator("#operations-campaigns-list_campaigns")
        listed.locator(".opblock-summary-control").click()
        listed.get_by_role("button", name="Try it out").click()
        listed.get_by_role("button", name="Execute").click()
        listed.locator(".live-responses-table .response-col_status", has_text="200").wait_for()
        page.screenshot(path=tmp_path / "docs.png", full_page=False)

        assert complaints == []
        own = [url for url in requested if url.startswith((f"{api.url}/", "data:", "blob:"))]
        assert own == requested
        page.close()
