"""The vendored files are the published ones, and no page runs anything that is not a file of ours."""

from __future__ import annotations

import hashlib
import re

import pytest

from api.pages.assets import FILES, FOLDER, address
from api.pages.rendering import HEADERS, TEMPLATES

PUBLISHED = {
    "htmx.LICENSE": "d3d2456f76414f2456104660ebd65aff1c04cd7966b942bdabd63f3cdb316a38",
    "htmx.min.js": "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717",
    "sse.LICENSE": "a17d224ce9afdc21ec9491b76a2f5d036d19aa641ac4f85ca29c21f9f7e54fdf",
    "sse.min.js": "98a46496de0c3605fbffdce9167ba427bdd9553184f83f149c261891a92c0136",
    "uPlot.LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}
PAGES = sorted(TEMPLATES.glob("*.html"))


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_the_vendored_files_are_unchanged(name: str) -> None:
    assert hashlib.sha256((FOLDER / "vendor" / name).read_bytes()).hexdigest() == PUBLISHED[name]


def test_every_file_is_served_and_has_an_address_of_its_content() -> None:
    present = {str(each.relative_to(FOLDER)) for each in FOLDER.rglob("*.*") if each.suffix not in (".md", ".LICENSE")}
    assert present == set(FILES)
    assert re.fullmatch(r"/static/page\.css\?v=[0-9a-f]{12}", address("page.css"))


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.name)
def test_a_template_has_no_inline_code_and_names_no_other_host(file: object) -> None:
    text = TEMPLATES.joinpath(str(file)).read_text()
    assert re.findall(r"<script(?![^>]* src=)|<style|\sstyle=|\son[a-z]+=|javascript:|hx-on", text) == []
    assert re.findall(r"https?://|(?:src|href)=\"//", text) == []


def test_the_policy_allows_our_files_only() -> None:
    policy = HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "'unsafe" not in policy
    assert {each for each in policy.replace(";", " ").split() if "'" not in each} <= {
        "default-src", "script-src", "style-src", "img-src", "connect-src", "form-action", "base-uri",
        "frame-ancestors", "data:",
    }  # fmt: skip
