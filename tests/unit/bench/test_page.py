"""The sections of the page of benchmarks."""

from __future__ import annotations

from bench.page import HEAD, with_sections


def test_a_run_replaces_its_own_section_and_no_other() -> None:
    page = with_sections("", {"sink": "## Sink\n\nearlier\n", "ingress": "## Ingress\n\nunchanged\n"})
    assert page.startswith(HEAD)
    assert page.index("unchanged") < page.index("earlier")
    changed = with_sections(page, {"sink": "## Sink\n\nlater\n"})
    assert changed == page.replace("earlier", "later")
