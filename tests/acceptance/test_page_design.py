"""The pages in a real browser: for a phone, for the keyboard, in the dark, and for a screen reader."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.faults.proxy import Proxy
from tests.support.paths import ROOT
from tests.support.served_api import served_api
from tests.support.shown_pages import LONG_NAME, fill

AXE = (ROOT / "tests/acceptance/axe/axe.min.js").read_text(encoding="utf-8")
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
SIZES: tuple[tuple[int, Literal["light", "dark"]], ...] = (
    (1280, "light"), (1280, "dark"), (390, "light"), (390, "dark"),
)  # fmt: skip
WAIT_MS = 20_000


def _violations(page: Page) -> list[str]:
    # axe is evaluated and not inserted as a script, because the policy of the page forbids that.
    page.evaluate(AXE)
    found: dict[str, Any] = page.evaluate(
        "tags => axe.run(document, {runOnly: {type: 'tag', values: tags}, rules: {'target-size': {enabled: true}}})",
        list(RULES),
    )
    return [f"{each['id']}: {node['html'][:160]}" for each in found["violations"] for node in each["nodes"]]


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_each_page_is_for_everybody(
    browser: Browser,
    database_url: str,
    kafka: str,
    topic_prefix: str,
    tmp_path: Path,
    width: int,
    scheme: Literal["light", "dark"],
) -> None:
    problems: list[str] = []
    with served_api(database_url, kafka, topic_prefix, tmp_path) as api, closing(Proxy(api.port)) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.on("pageerror", lambda error: problems.append(f"{page.url}: {error}"))
        page.on("console", lambda line: problems.append(f"{page.url}: {line.text}") if line.type == "error" else None)
        page.on("request", lambda asked: _note_foreign(asked.url, url, problems))
        for name in _shown(page, url, database_url, proxy):
            expect(page.locator("time[datetime]:not([title])")).to_have_count(0)
            expect(page.get_by_text("being computed")).to_have_count(0)
            problems += [f"{name}: {each}" for each in _violations(page)]
            if page.evaluate("document.documentElement.scrollWidth") > width:
                problems.append(f"{name}: it is wider than the screen")
            page.screenshot(path=tmp_path / f"{name}.png", full_page=True)
        page.close()
    assert [each for each in problems if "Failed to load resource" not in each] == []


FILE = "Vorname;Mobil;Preis\nZoë;+1 469 465 2752;19,90\nBo;nobody;5,00\n" + f"{'Ana' * 90};{'9' * 60};1,00\n"


def _shown(page: Page, url: str, database_url: str, proxy: Proxy) -> Iterator[str]:
    """Show each page, and each state of a page to which an act of a person or an outage leads. Yields its name."""
    page.goto(url)
    yield "empty"
    with psycopg.connect(database_url, autocommit=True) as connection:
        paths = fill(connection)
    for name, path in paths.items():
        page.goto(f"{url}{path}")
        yield name
    for name, search in (
        ("found", "q=%2B1+469"),
        ("nobody", "q=49"),
        ("misspelt", "q=nobody"),
        ("none", "status=skipped"),
    ):
        page.goto(f"{url}{paths['people']}?{search}")
        yield f"people-{name}"
    yield from _imported(page, f"{url}{paths['import']}")
    for name, fields, button in (
        ("new", {"Name": "a", "Template": "t", "Language": "no language"}, "Create the draft"),
        ("edit", {"From": "noon"}, "Save the settings"),
        ("test", {"Your number": "nobody"}, "Send the test"),
        ("clone", {"Name of the draft": "  "}, "Create the draft"),
    ):
        page.goto(f"{url}{paths[name]}")
        for field, text in fields.items():
            page.get_by_label(field, exact=True).fill(text)
        page.get_by_role("button", name=button).click()
        expect(page.get_by_role("alert").first).to_be_visible()
        yield f"{name}-refused"
    page.goto(f"{url}{paths['add']}")
    page.get_by_label("Phone numbers").fill("+1 469 465 2799\n" + "nobody" * 40)
    page.get_by_role("button", name="Add them").click()
    expect(page.get_by_role("heading", name="1 added")).to_be_visible()
    yield "added"
    page.goto(f"{url}{paths['campaign']}")
    expect(page.get_by_text("being computed")).to_have_count(0)
    proxy.cut()
    expect(page.get_by_role("status").filter(has_text="Not live since")).to_be_visible(timeout=WAIT_MS)
    yield "lost"


def _imported(page: Page, path: str) -> Iterator[str]:
    """The preview of a file, of one that cannot be read, and the result."""
    page.goto(path)
    place = page.get_by_label("File", exact=True)
    place.set_input_files({"name": "b.csv", "mimeType": "text/csv", "buffer": b"a;b\n1;2\n"})
    expect(page.get_by_role("alert")).to_be_visible()
    yield "import-unreadable"
    place.set_input_files({"name": "a.csv", "mimeType": "text/csv", "buffer": FILE.encode("cp1252")})
    expect(page.get_by_role("heading", name="Some of the first 3 lines")).to_be_visible()
    yield "import-preview"
    page.get_by_role("button", name="Import the whole file").click()
    expect(page.get_by_role("heading", name="2 refused")).to_be_visible()
    yield "import-result"


def _note_foreign(asked: str, own: str, problems: list[str]) -> None:
    if not asked.startswith((f"{own}/", "data:")):
        problems.append(f"a request to another host: {asked}")


def test_a_campaign_is_made_and_steered_with_the_keyboard(
    browser: Browser, database_url: str, kafka: str, topic_prefix: str, tmp_path: Path
) -> None:
    with served_api(database_url, kafka, topic_prefix, tmp_path, with_key=True) as api:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(api.url)
        page.keyboard.type("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("not a key")
        page.keyboard.type(api.key)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="No campaigns yet")).to_be_visible()

        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        page.keyboard.press("Enter")
        _tab_to(page, "New campaign")
        expect(page.get_by_label("Name", exact=True)).to_be_focused()
        for text in (LONG_NAME[:190], "summer_sale", "en_US", "1,000"):
            page.keyboard.type(text)
            page.keyboard.press("Tab")
        _tab_to(page, "Create the draft")
        expect(page.get_by_role("heading", name="Add people")).to_be_visible()
        page.get_by_label("Phone numbers").focus()
        page.keyboard.insert_text("+1 469 465 2751\n+1 945 308 3188, Ana\nnobody")
        _tab_to(page, "Add them")
        expect(page.get_by_role("heading", name="2 added")).to_be_visible()
        expect(page.get_by_role("row").filter(has_text="nobody")).to_be_visible()
        _import_file(page)
        _tab_to(page, "To the campaign")
        expect(page.get_by_role("heading", name="Needs attention")).to_be_visible()
        _tab_to(page, "Activate")
        expect(page.get_by_role("status").filter(has_text="is active")).to_be_visible()
        _tab_to(page, "Why it is paused (optional)", press=None)
        page.keyboard.type("legal asked us")
        page.keyboard.press("Enter")
        expect(page.get_by_text("legal asked us").first).to_be_visible(timeout=WAIT_MS)
        _tab_to(page, "Cancel…")
        expect(page.get_by_text("3 people will be skipped")).to_be_visible()
        _tab_to(page, "Cancel it, skip 3")
        expect(page.locator("#state")).to_have_text("Cancelled")
        _tab_to(page, "Sign out")
        expect(page.get_by_label("API key")).to_be_visible()
        page.close()


def _import_file(page: Page) -> None:
    """Import a file with one new person, one that is there, and one wrong line, and download the refused line."""
    _tab_to(page, "import a CSV file or JSON lines")
    content = "Vorname;Mobil\nZoë;+1 469 465 2752\nAna;+1 469 465 2751\nBo;nobody\n".encode("cp1252")
    page.get_by_label("File", exact=True).set_input_files({"name": "a.csv", "mimeType": "text/csv", "buffer": content})
    expect(page.get_by_role("heading", name="CSV, separated by semicolon, Windows-1252")).to_be_visible()
    expect(page.get_by_label("Phone number")).to_have_value("Mobil")
    page.get_by_label("Parameter 1").select_option("Vorname")
    expect(page.get_by_role("row").filter(has_text="Zoë")).to_contain_text("can be added")
    _tab_to(page, "Import the whole file", press=None)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="1 added")).to_be_focused()
    with page.expect_download() as downloading:
        _tab_to(page, "refused.csv", press=None)
        page.keyboard.press("Enter")
    refused = downloading.value.path().read_text(encoding="utf-8-sig")
    assert refused.splitlines()[1].startswith("Bo;nobody;4;")


FOCUSED = """() => {
    const found = document.activeElement;
    const isControl = found.matches("a, button, input, textarea, select");
    return isControl ? found.getAttribute("aria-label") || found.textContent : "";
}"""
"""The name of the link, button or field that has the focus."""


def _tab_to(page: Page, name: str, press: str | None = "Enter") -> None:
    """Press Tab until the control of this name has the focus, and then a key."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if name in page.evaluate(FOCUSED):
            if press is not None:
                page.keyboard.press(press)
                page.wait_for_load_state("domcontentloaded")
            return
    raise AssertionError(f"no Tab reaches {name}")


@pytest.mark.slow
def test_every_decision_is_made_with_the_keyboard(
    browser: Browser, database_url: str, kafka: str, topic_prefix: str, tmp_path: Path
) -> None:
    with (
        served_api(database_url, kafka, topic_prefix, tmp_path) as api,
        psycopg.connect(database_url, autocommit=True) as connection,
    ):
        paths = fill(connection)
        page = browser.new_page(viewport={"width": 1280, "height": 900})

        page.goto(f"{api.url}{paths['campaign']}")
        _tab_to(page, "Show these people, and decide")
        expect(page.get_by_role("heading", name="People", exact=True)).to_be_visible()
        _tab_to(page, "Count as sent")
        expect(page.get_by_role("heading", name="Count as sent?")).to_be_visible()
        _tab_to(page, "Wait")
        expect(page.get_by_role("heading", name="People", exact=True)).to_be_visible()
        _tab_to(page, "Send again")
        expect(page.get_by_role("heading", name="Send again, perhaps for the second time?")).to_be_visible()

        page.goto(f"{api.url}{paths['paused']}")
        _tab_to(page, "Send these again")
        expect(page.get_by_role("heading", name="Send the messages with code 131042 again?")).to_be_visible()
        _tab_to(page, "Back")
        expect(page.get_by_role("heading", name="Payment trouble")).to_be_visible()

        page.goto(f"{api.url}{paths['campaign']}")
        _tab_to(page, "Test send")
        expect(page.get_by_label("Your number")).to_be_focused()
        page.keyboard.type("nobody")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert").first).to_be_visible()
        expect(page.get_by_label("Your number")).to_have_attribute("aria-invalid", "true")

        page.goto(f"{api.url}{paths['campaign']}")
        _tab_to(page, "Clone")
        expect(page.get_by_label("Name of the draft")).to_be_focused()
        page.keyboard.press("ControlOrMeta+A")
        page.keyboard.type("Next summer")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Next summer")).to_be_visible()

        page.goto(f"{api.url}{paths['people']}")
        page.get_by_role("searchbox").focus()
        page.keyboard.type("+1 469 465 0004")
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile("q="))
        _tab_to(page, "+1469 ••••• 04")
        expect(page.get_by_role("heading", level=1)).to_contain_text("04")
        page.close()
