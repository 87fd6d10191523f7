"""Reads the message templates of the business account from the Cloud API, and keeps them for a short time.

A read is a GET, so it may be repeated, and it never changes or sends anything. A caller must be able to go on
without the templates: every failure is TemplatesUnreadable with the reason in a sentence.

Source: Meta's page "WhatsApp Business Account: message templates" (fields, filter by name, pages by cursors).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import httpx

from domain.templates import MessageTemplate, read_templates
from runtime import cloud_answers
from runtime.cloud_answers import CloudUnreadable
from runtime.settings import Settings

KEPT_S = 60.0
"""Templates change by a review, which takes minutes at least. A webhook about a pause does not wait for this."""
READ_TIMEOUT_S = 10.0
"""For all pages together: an operator waits for it."""
PAGE_LENGTH = 200
PAGES_MAX = 50
"""An account has at most 6,000 templates."""
PAGE_BYTES_MAX = 8 * 1024 * 1024
NAMES_KEPT_MAX = 200
FIELDS = "id,name,language,status,category,quality_score,parameter_format,components,rejected_reason"


class TemplatesUnreadable(Exception):
    """The templates cannot be read now. The text is a sentence with the reason."""


class TemplateReader:
    """Reads the templates of the account of the settings. Requests at the same time share one read."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._account = settings.whatsapp_account_id
        self._root = f"{settings.whatsapp_api_url}/{settings.whatsapp_api_version}"
        self._token = settings.whatsapp_access_token
        self._clock = clock
        self._kept: dict[str | None, tuple[float, tuple[MessageTemplate, ...]]] = {}
        self._reading = asyncio.Lock()

    async def read_all(self, *, fresh: bool = False) -> tuple[MessageTemplate, ...]:
        """All templates, in the order of Meta. `fresh`: read them now. Raises TemplatesUnreadable."""
        return await self._read(None, fresh=fresh)

    async def read_named(self, name: str, *, fresh: bool = False) -> tuple[MessageTemplate, ...]:
        """The languages of one template; empty if there is no such template. Raises TemplatesUnreadable."""
        found = await self._read(name, fresh=fresh)
        return tuple(each for each in found if each.name == name)  # a filter of Meta's may find parts of names

    async def _read(self, name: str | None, *, fresh: bool) -> tuple[MessageTemplate, ...]:
        if not self._account:
            raise TemplatesUnreadable("CAMPAIGNS_WHATSAPP_ACCOUNT_ID is not set, so the account is not known.")
        if not self._token.get_secret_value():
            raise TemplatesUnreadable("CAMPAIGNS_WHATSAPP_ACCESS_TOKEN is not set.")
        asked_at = self._clock()
        async with self._reading:
            for key in (name, None):
                read_at, kept = self._kept.get(key, (float("-inf"), ()))
                if read_at >= (asked_at if fresh else self._clock() - KEPT_S):
                    return kept
            read_at = self._clock()
            try:
                async with cloud_answers.reading(self._token, READ_TIMEOUT_S) as client:
                    found = tuple(await self._pages(client, name))
            except CloudUnreadable as why:
                raise TemplatesUnreadable(str(why)) from None
            if len(self._kept) >= NAMES_KEPT_MAX:
                self._kept.clear()
            self._kept[name] = read_at, found
            return found

    async def _pages(self, client: httpx.AsyncClient, name: str | None) -> list[MessageTemplate]:
        url = f"{self._root}/{quote(self._account, safe='')}/message_templates"
        query = {"fields": FIELDS, "limit": str(PAGE_LENGTH)} | ({} if name is None else {"name": name})
        found: list[MessageTemplate] = []
        for _ in range(PAGES_MAX):
            page = await cloud_answers.get(client, url, query, PAGE_BYTES_MAX)
            if "data" not in page:
                raise cloud_answers.foreign()
            found += read_templates(page["data"])
            after = _next_cursor(page)
            if after is None:
                return found
            query["after"] = after
        raise TemplatesUnreadable(f"The account has more than {PAGES_MAX * PAGE_LENGTH:,} templates.")


def _next_cursor(page: Mapping[str, Any]) -> str | None:
    """The cursor of the next page. The address `next` is not followed: it could lead the token elsewhere."""
    paging = page.get("paging")
    if not isinstance(paging, dict) or not paging.get("next"):
        return None
    cursors = paging.get("cursors")
    after = cursors.get("after") if isinstance(cursors, dict) else None
    return after if isinstance(after, str) and after else None
