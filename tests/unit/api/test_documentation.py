"""The files of `/docs` are the published ones, and no page of it runs a script that is not a file of ours."""

from __future__ import annotations

import hashlib
import re

import pytest

from api.documentation import FOLDER, HEADERS, PAGE

PUBLISHED = {
    "LICENSE": "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30",
    "NOTICE": "0d20d1adef18aee3f40dd258172155521ce702ac445cb5f7b7d60ed32dad2fb2",
    "swagger-ui-bundle.js": "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2",
    "swagger-ui-bundle.js.LICENSE.txt": "37eb6e7e59aed57b2c1acf076574b818ea07b74265717e0bd67b59e0baf9abbb",
    "swagger-ui.css": "5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d",
}


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_the_files_of_swagger_ui_are_unchanged(name: str) -> None:
    assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == PUBLISHED[name]


def test_the_page_has_no_inline_script_and_names_no_other_host() -> None:
    assert re.findall(r"<script(?![^>]* src=)|\son\w+=|javascript:", PAGE) == []
    assert re.findall(r'(?:src|href)="(?!/docs/|data:,)', PAGE) == []
    assert "'unsafe" not in HEADERS["Content-Security-Policy"]
    assert HEADERS["Content-Security-Policy"].startswith("default-src 'none'")
