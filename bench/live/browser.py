"""An open page of a campaign in a real Chromium, and the moments at which its figures were painted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from playwright.sync_api import Page, sync_playwright

ARGUMENTS = ("--no-sandbox", "--disable-dev-shm-usage")
RECORD = """() => {
    window.painted = [];
    const part = document.getElementById("figures");
    const delivered = () => Number(part.querySelectorAll(".funnel .count")[1].textContent.replaceAll(",", ""));
    new MutationObserver(() => requestAnimationFrame(() => window.painted.push([Date.now() / 1000, delivered()])))
        .observe(part, { childList: true });
}"""
"""Records the time of each frame in which the figures are new, and how many deliveries it shows."""

Painted = Sequence[tuple[float, int]]
"""Times in seconds, and the deliveries shown then."""


class NoBrowser(RuntimeError):
    """No Chromium is installed."""


@contextmanager
def open_page(url: str) -> Iterator[Page]:
    """Open the page of a campaign and record its figures. Raises NoBrowser."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        raise NoBrowser("no Chromium is installed (Debian: apt install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, headless=True, args=list(ARGUMENTS))
        page = browser.new_page()
        page.goto(url)
        page.evaluate(RECORD)
        yield page
        browser.close()


def painted(page: Page) -> Painted:
    """What was recorded so far."""
    return [(float(at), int(count)) for at, count in page.evaluate("() => window.painted")]
