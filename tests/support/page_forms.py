"""Sends the forms of the page as a browser does: with their hidden fields, from their own origin."""

from __future__ import annotations

import html
import re
from typing import Any

import httpx

from tests.support.api_client import Api

OWN = {"Origin": "http://127.0.0.1:8000"}
_HIDDEN = re.compile(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)">')


def hidden_fields(text: str) -> dict[str, str]:
    """The hidden fields of a page."""
    return {name: html.unescape(value) for name, value in _HIDDEN.findall(text)}


async def submit(api: Api, shown: httpx.Response, **fields: Any) -> httpx.Response:
    """Send the form of a page to its own path."""
    data = {**hidden_fields(shown.text), **fields}
    return await api.http.post(shown.url.path, data=data, headers=OWN)
