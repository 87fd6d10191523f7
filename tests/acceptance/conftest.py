"""A browser for pages, and the removal of the kept states of `campaigns up`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from runtime.settings import STATE_FOLDER
from stack.embedded import remove_state

BROWSER_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="session", autouse=True)
def kept_states_go(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Remove the states below our temporary folder. For root, their databases are in other folders."""
    yield
    for pointer in tmp_path_factory.getbasetemp().glob(f"*/{STATE_FOLDER.name}/postgres.location"):
        remove_state(pointer.parent)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium of the system. CI requires it."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None and not os.environ.get("CI"):
        pytest.skip("no Chromium is installed (Debian: apt install chromium)")
    assert found is not None, "CI needs a Chromium"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, headless=True, args=BROWSER_ARGUMENTS)
        yield started
        started.close()
