"""The page that imports a file of people: it shows what the file has, lets a person choose the columns, and adds it.

The file stays in the browser until then. The browser sends its first bytes for the preview, and the whole file for the
import, which handles it while it arrives. So nothing is stored for a file that is not imported.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from api.field_types import Country
from api.imports import judge_lines, refusals
from api.pages import reading
from api.pages.forms import UseSession, UseUpload
from api.pages.paths import CAMPAIGNS
from api.pages.rendering import HEADERS, html, page
from api.recipient_answers import RefusedLine
from api.recipient_imports import (
    REFUSED_MEMORY_BYTES,
    ImportOutcome,
    choices_of,
    pieces,
    require_type,
    run_import,
)
from api.services import UseCampaignId, UseServices
from domain.lifecycle import CampaignStatus
from domain.parameters import FIELD
from domain.recipient_files.cells import DELIMITERS
from domain.recipient_files.columns import Choices, UnusableFile
from domain.recipient_files.decoding import FileEncoding
from domain.recipient_files.reader import FileLine, Layout, RecipientFile
from domain.template_slots import slots_of

PREVIEW_BYTES = 128 * 1024
"""So much of a file the browser sends for the preview."""
LINES_SHOWN = 5
JUDGED_MAX = 1000
"""Lines of the preview that are judged: some milliseconds."""
REFUSED_SHOWN = 10
POSITIONS_OFFERED = 5
"""GivenParameters that are offered if the template is not known."""
PAGE_BYTES = "Import-Page-Bytes"
"""The header of an answer: so many bytes are the part of the page, and the rest is the file of refused lines."""

router = APIRouter(include_in_schema=False)

GivenColumn = Annotated[str | None, Query(max_length=200)]
GivenParameters = Annotated[list[str] | None, Query(max_length=500)]
GivenCountry = Annotated[Country | None, Query()]


@dataclass(frozen=True, slots=True)
class PreviewLine:
    """One of the first lines."""

    number: int
    phone: str
    parameters: Sequence[str]
    refused: RefusedLine | None


@dataclass(frozen=True, slots=True)
class ImportPreview:
    """What the first bytes of a file show."""

    encoding: str
    is_guess: bool
    delimiter: str | None
    """None for JSON lines."""
    headers: tuple[str, ...]
    has_headers: bool
    phone: str
    slots: tuple[tuple[str, str], ...]
    """Each parameter, and the column that it comes from; empty for none."""
    decimal_commas: tuple[str, ...]
    lines: tuple[PreviewLine, ...]
    judged: int
    refused: tuple[RefusedLine, ...]


@router.get(CAMPAIGNS + "/{campaign_id}/import")
async def show_import(campaign_id: UseCampaignId, services: UseServices, session: UseSession) -> Response:
    """Show the form that takes a file."""
    async with services.lists.connection() as connection:
        known = await reading.read_campaign(connection, services.board, campaign_id)
    view = known.view()
    is_open = view.campaign.status is not CampaignStatus.CANCELLED
    return page("import.html", session=session, view=view, preview_bytes=PREVIEW_BYTES, is_open=is_open)


@router.post(CAMPAIGNS + "/{campaign_id}/import/preview", dependencies=[UseUpload])
async def preview_file(
    campaign_id: UseCampaignId,
    request: Request,
    services: UseServices,
    phone_column: GivenColumn = None,
    parameter: GivenParameters = None,
    country: GivenCountry = None,
    is_whole: Annotated[bool, Query()] = False,
) -> Response:
    """Show what the first bytes of a file have. Nothing is added."""
    require_type(request)
    start = (await request.body())[:PREVIEW_BYTES]
    choices = await choices_of(services, campaign_id, phone_column, parameter, country)
    try:
        shown, error = await asyncio.to_thread(preview, start, choices, is_whole=is_whole), ""
    except UnusableFile as unusable:
        shown, error = None, str(unusable)
    body = html("import_preview.html", preview=shown, error=error, phone_column=phone_column or "")
    return Response(body, 422 if error else 200, media_type="text/html", headers=HEADERS)


@router.post(CAMPAIGNS + "/{campaign_id}/import", dependencies=[UseUpload])
async def import_file(
    campaign_id: UseCampaignId,
    request: Request,
    services: UseServices,
    phone_column: GivenColumn = None,
    parameter: GivenParameters = None,
    country: GivenCountry = None,
) -> Response:
    """Add the people of a file, and answer with a part of the page and the file of refused lines behind it."""
    require_type(request)
    choices = await choices_of(services, campaign_id, phone_column, parameter, country)
    spool = SpooledTemporaryFile[bytes](REFUSED_MEMORY_BYTES)
    try:
        outcome = await run_import(request, services, campaign_id, choices, spool)
    except BaseException:
        spool.close()
        raise
    return _result(campaign_id, outcome, spool)


def _result(campaign_id: UUID, outcome: ImportOutcome, spool: SpooledTemporaryFile[bytes]) -> StreamingResponse:
    is_json = outcome.file.layout is not None and outcome.file.layout.delimiter is None
    body = html(
        "import_result.html",
        campaign_id=campaign_id,
        totals=outcome.totals,
        refused=outcome.refused[:REFUSED_SHOWN],
        is_cut=outcome.is_cut,
        file_name=f"refused.{'jsonl' if is_json else 'csv'}",
    ).encode()
    spool.seek(0)

    async def parts() -> AsyncIterator[bytes]:
        yield body
        async for piece in pieces(spool):
            yield piece

    headers = {**HEADERS, PAGE_BYTES: str(len(body))}
    return StreamingResponse(parts(), media_type="application/octet-stream", headers=headers)


def preview(start: bytes, choices: Choices, *, is_whole: bool) -> ImportPreview:
    """What the first bytes of a file show. Pure. Raises UnusableFile."""
    file = RecipientFile(choices)
    lines = [*file.feed(start), *file.feed(b"", is_last=True)]
    if not is_whole:
        lines = lines[:-1]  # the last one may be cut
    judged = lines[:JUDGED_MAX]
    refused = {each.line.number: each.why for each in refusals(judged, *judge_lines(judged, choices.country))}
    layout = file.layout
    assert layout is not None, "the end of a file shows its layout"
    columns = layout.columns
    return ImportPreview(
        encoding=file.encoding.value,
        is_guess=file.encoding is FileEncoding.WINDOWS_1252,
        delimiter=None if layout.delimiter is None else DELIMITERS.get(layout.delimiter, layout.delimiter),
        headers=() if columns is None else columns.headers,
        has_headers=columns is not None and columns.has_headers,
        phone="" if columns is None else columns.headers[columns.phone],
        slots=_slots(layout, choices),
        decimal_commas=() if columns is None else columns.decimal_commas,
        lines=tuple(_line(each, refused.get(each.number)) for each in judged[:LINES_SHOWN]),
        judged=len(judged),
        refused=tuple(refused.values())[:REFUSED_SHOWN],
    )


def _slots(layout: Layout, choices: Choices) -> tuple[tuple[str, str], ...]:
    columns = layout.columns
    if columns is None or columns.json_parameters is not None:
        return ()
    found = {name: columns.headers[place] for name, place in columns.parameters}
    if choices.template is not None:
        offered = slots_of(choices.template)
    else:
        offered = tuple(map(str, range(1, min(POSITIONS_OFFERED, len(columns.headers) - 1) + 1)))
    names = dict.fromkeys((*offered, *found))
    if choices.template is None and any(not name.isdecimal() for name in found):
        names = dict.fromkeys(found)  # a template has positions or names, and not both
    return tuple((name, found.get(name, "")) for name in names)


def _line(line: FileLine, refused: RefusedLine | None) -> PreviewLine:
    item: Any = line.item
    phone, given = (item.get("phone_number") or item.get("user_id"), item.get(FIELD)) if isinstance(item, dict) else (
        item, None
    )  # fmt: skip
    values = list(given.values()) if isinstance(given, dict) else given if isinstance(given, list) else []
    return PreviewLine(line.number, str(phone or ""), [str(each) for each in values], refused)
