"""The stream of server-sent events behind an open page: parts of the page, rendered again when they change.

The newest state wins: a stream that is slow skips what is outdated, and keeps nothing but the ids of what changed. A
beat each second shows the page that the connection lives.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import Response, StreamingResponse

from api.pages.board import Board, KnownCampaign, PageStream
from api.pages.health import health_view
from api.pages.paths import LIVE
from api.pages.rendering import HEADERS, html
from api.pages.views import CampaignView
from api.problem_codes import ProblemCode
from api.problems import answer
from api.services import UseServices

BEAT_S = 1.0
GATHER_S = 0.2
"""Pause after an event, so that several changes become one."""
STREAM_S = 15 * 60.0
"""A stream ends after this time, and the page connects again. So a session that has expired or ended sees no more."""
RETRY_MS = 500
PARTS = {"figures": "figures.html", "attention": "attention.html", "pipeline": "pipeline.html"}
"""Event to template, for the page of one campaign."""
ROW = "row.html"

router = APIRouter(include_in_schema=False)


@router.get(LIVE)
async def follow(services: UseServices, campaign: Annotated[UUID | None, Query()] = None) -> Response:
    """Stream the changes of one campaign, or of the list."""
    if services.board.is_full:
        return answer(ProblemCode.UNAVAILABLE, "Too many pages are open.", headers={"Retry-After": "10"})
    headers = {**HEADERS, "X-Accel-Buffering": "no"}
    return StreamingResponse(events(services.board, campaign), media_type="text/event-stream", headers=headers)


async def events(board: Board, campaign: UUID | None) -> AsyncIterator[str]:
    """Everything once, and then what changes, until the board is closed or `STREAM_S` have passed."""
    sent: dict[str, str] = {}
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + STREAM_S
    yield f"retry: {RETRY_MS}\n\n"
    with board.subscribe(campaign) as stream:
        dirty = {each.campaign.id for each in board.listed()} if campaign is None else {campaign}
        while not board.is_closed and loop.time() < ends_at:
            for name, text in _parts(board, stream, dirty | stream.take()):
                if sent.get(name) != text:
                    sent[name] = text
                    yield event(name, text)
            yield event("beat", "")
            await asyncio.sleep(GATHER_S)
            await stream.wait(BEAT_S - GATHER_S)
            dirty = set()


def _parts(board: Board, stream: PageStream, dirty: set[UUID]) -> Iterator[tuple[str, str]]:
    yield "health", html("health.html", health=health_view(board.state))
    if stream.campaign is None and board.groups is not None:
        # A page that gets another order than it has loads its list again.
        yield "regroup", order_of(board)
    for each in dirty:
        known = board.get(each)
        if known is None:
            continue
        if stream.campaign is None:
            yield f"row-{each}", known.fragment(ROW, _render)
        else:
            yield from _campaign_parts(known)


def order_of(board: Board) -> str:
    """A text that changes whenever a campaign appears on the list, moves or leaves it."""
    named = " ".join(f"{status}:{each.hex}" for status, each in board.groups or ())
    return hashlib.sha256(named.encode()).hexdigest()[:16]


def _campaign_parts(known: KnownCampaign) -> Iterator[tuple[str, str]]:
    for name, template in PARTS.items():
        yield name, known.fragment(template, _render)
    yield "restate", f"{known.campaign.status} {known.campaign.name}"


def _render(template: str, view: CampaignView) -> str:
    return html(template, view=view)


def event(name: str, text: str) -> str:
    """One server-sent event. A line break in the text begins a new line of data."""
    data = "".join(f"data: {line}\n" for line in text.splitlines() or [""])
    return f"event: {name}\n{data}\n"
