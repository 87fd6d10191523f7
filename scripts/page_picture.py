"""Takes the picture of the README, `docs/page.png`: the top of the page of a campaign that runs.

    campaigns up                                         # then create, import and activate a campaign
    python -m scripts.page_picture http://127.0.0.1:8000/campaigns/ID

It waits until the page shows a speed, so that the picture is that of a live page.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).parents[1] / "docs" / "page.png"
WIDTH, HEIGHT = 1180, 692
WAIT_MS = 60_000


def main() -> int:
    """Take the picture; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("url", help="the page of a campaign")
    url = parser.parse_args().url
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        print("No Chromium is installed (Debian: apt install chromium).")
        return 1
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, locale="en-GB")
        page.goto(url)
        page.get_by_text("per second").first.wait_for(timeout=WAIT_MS)
        page.get_by_text("done about").first.wait_for(timeout=WAIT_MS)
        page.screenshot(path=PICTURE)
        browser.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
