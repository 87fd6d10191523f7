"""The route that imports a file of recipients while its body arrives. No part of the file stays in memory.

The answer counts the lines and lists the first refused ones. With `answer=refused_lines` it is the file of all refused
lines instead, to correct and import again. Nothing of the file is stored, so the same file may be sent for that once
more: a person that the campaign has is not added again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import Annotated, Any, Literal
from uuid import UUID

import structlog
from fastapi import Query, Request
from fastapi.responses import Response, StreamingResponse
from starlette.requests import ClientDisconnect

from api.additions import Judged, add
from api.exports import CSV_TYPE
from api.field_types import Country
from api.formats import FILE_FORMAT
from api.imports import LISTED_MAX, ImportedChunk, ImportTotals, import_blocks
from api.problem_codes import ProblemCode
from api.problems import RETRY_AFTER_S, Problem
from api.recipient_answers import RecipientsAdded, RecipientsImported, RefusedLine
from api.routes import json_router
from api.services import Services, UseCampaignId, UseServices
from api.template_checks import known_template
from domain.lifecycle import ActionNotAllowed, CampaignStatus
from domain.recipient_files.columns import Choices, InvalidMapping, UnusableFile, read_mapping
from domain.recipient_files.reader import Layout, RecipientFile
from domain.recipient_files.refused import refused_head, refused_line
from tables import campaigns
from tables.campaigns import Campaign
from tables.turns import Turn

router = json_router("/api/marketing/campaigns/{campaign_id}/recipients/import", "recipients")

log = structlog.get_logger("api")

JSON_LINES_TYPE = "application/x-ndjson"
TYPES = (CSV_TYPE, JSON_LINES_TYPE, "application/jsonl", "application/octet-stream")
"""The types of the body. The bytes decide which form the file has."""
IMPORT_TIMEOUT_S = 1800.0
REFUSED_MEMORY_BYTES = 1024 * 1024
"""So much of the file of refused lines is in memory. The rest is in a temporary file."""
REFUSED_BYTES_MAX = 16 * 1024 * 1024
_READ_BYTES = 64 * 1024
_FILE = {"schema": {"type": "string", "format": FILE_FORMAT}}


@dataclass(slots=True)
class ImportOutcome:
    """What the answer needs of the chunks."""

    file: RecipientFile
    spool: SpooledTemporaryFile[bytes] | None = None
    """Gets the refused lines."""
    is_cut: bool = False
    """Whether there are more refused lines than `spool` takes."""
    totals: ImportTotals = field(default_factory=ImportTotals)
    duplicates: list[RefusedLine] = field(default_factory=list)
    refused: list[RefusedLine] = field(default_factory=list)

    def notice(self, chunk: ImportedChunk) -> None:
        """Count a chunk, and keep its first lines."""
        self.totals.count(chunk)
        self.duplicates += [each.why for each in chunk.first_duplicates[: LISTED_MAX - len(self.duplicates)]]
        self.refused += [each.why for each in chunk.refused[: LISTED_MAX - len(self.refused)]]
        if self.spool is not None:
            for each in chunk.refused:
                if not self.spool.tell():
                    self._write(self.spool, refused_head(self.layout))
                self._write(self.spool, refused_line(self.layout, each.line, each.why.reason, each.message))

    def _write(self, spool: SpooledTemporaryFile[bytes], text: str) -> None:
        written = text.encode("utf-8", "surrogateescape")
        if spool.tell() + len(written) <= REFUSED_BYTES_MAX:
            spool.write(written)
        else:
            self.is_cut = True

    @property
    def layout(self) -> Layout:
        """The columns of the file."""
        assert self.file.layout is not None, "a chunk has lines, so the columns are known"
        return self.file.layout


@router.post(
    "",
    response_model=RecipientsImported,
    responses={200: {"content": {CSV_TYPE: {"schema": {"type": "string"}}}}},
    openapi_extra={"requestBody": {"required": True, "content": dict.fromkeys(TYPES[:2], _FILE)}},
)
async def import_recipients(
    campaign_id: UseCampaignId,
    request: Request,
    services: UseServices,
    phone_column: Annotated[
        str | None, Query(max_length=200, description="Column of the phone numbers: its header, or its place from 1")
    ] = None,
    parameter: Annotated[
        list[str] | None,
        Query(max_length=500, description="Template parameter and its column, as `1=first_name`; may be repeated"),
    ] = None,
    country: Annotated[
        Country | None, Query(description="Country of numbers without + or 00; else the campaign's")
    ] = None,
    answer: Annotated[
        Literal["summary", "refused_lines"], Query(description="refused_lines: the file of all refused lines")
    ] = "summary",
) -> Response:
    """Import a file of recipients, CSV or JSON lines, while it arrives. A wrong line stops no other.

    Columns whose headers are the names of the template (`first_name`, `header`, `button_1`) become its parameters.

    The encoding, the delimiter and the columns are found and reported. Lines are added in chunks of 10,000. If the
    connection breaks, the chunks before are added, and the same request adds the rest.
    """
    require_type(request)
    spool = SpooledTemporaryFile[bytes](REFUSED_MEMORY_BYTES) if answer == "refused_lines" else None
    choices = await choices_of(services, campaign_id, phone_column, parameter, country)
    outcome = await run_import(request, services, campaign_id, choices, spool)
    return _summary(outcome) if spool is None else _refused_file(outcome, spool)


async def choices_of(
    services: Services,
    campaign_id: UUID,
    phone_column: str | None,
    parameter: Sequence[str] | None,
    country: str | None,
) -> Choices:
    """What the operator and the campaign name. Raises Problem, UnknownCampaign, and ActionNotAllowed."""
    mapping = _mapping(parameter)
    campaign = await _campaign(services, campaign_id)
    template = await known_template(services.templates, campaign.template_name, campaign.language_code)
    return Choices(phone_column, mapping, country or campaign.country, template)


async def run_import(
    request: Request,
    services: Services,
    campaign_id: UUID,
    choices: Choices,
    spool: SpooledTemporaryFile[bytes] | None,
) -> ImportOutcome:
    """Import the body of the request while it arrives; `spool` gets the refused lines. Raises Problem."""
    if services.imports.locked():
        raise Problem(ProblemCode.IMPORTS_BUSY, headers={"Retry-After": str(RETRY_AFTER_S)})
    outcome = ImportOutcome(RecipientFile(choices), spool)

    async def add_judged(judged: Judged, turn: Turn) -> RecipientsAdded:
        async with services.pool.connection() as connection:
            return await add(connection, campaign_id, judged, turn)

    importing = import_blocks(request.stream(), outcome.file, choices.country, add_judged, outcome.notice)
    try:
        async with services.imports:
            await _until_stop(importing, services.stopping)
    except UnusableFile as unusable:
        raise Problem(ProblemCode.UNUSABLE_FILE, str(unusable)) from None
    except ClientDisconnect:
        detail = "The connection broke before the end of the file. Send it again to add the rest."
        raise Problem(ProblemCode.BAD_REQUEST, detail) from None
    finally:
        totals = outcome.totals
        log.info("recipients imported", campaign_id=str(campaign_id), lines=totals.lines, added=totals.added,
                 duplicates=totals.duplicates, refused=totals.refused)  # fmt: skip
    return outcome


def require_type(request: Request) -> None:
    """Raise Problem for a body of another type, or a compressed one."""
    given = request.headers.get("content-type", "")
    if given and given.partition(";")[0].strip().lower() not in TYPES:
        detail = f"The body must be the file itself, with one of the types {', '.join(TYPES)}."
        raise Problem(ProblemCode.UNSUPPORTED_MEDIA_TYPE, detail)
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(ProblemCode.UNSUPPORTED_MEDIA_TYPE, "The body must not be compressed.")


def _mapping(parameter: Sequence[str] | None) -> Mapping[str, str] | None:
    try:
        return read_mapping(parameter or ())
    except InvalidMapping as invalid:
        raise Problem(ProblemCode.INVALID_FIELD, str(invalid), field="parameter") from None


async def _campaign(services: Services, campaign_id: UUID) -> Campaign:
    """The campaign. Raises UnknownCampaign, and ActionNotAllowed before the file is read."""
    async with services.pool.connection() as connection:
        campaign = await campaigns.read(connection, campaign_id)
    if campaign.status is CampaignStatus.CANCELLED:
        raise ActionNotAllowed("the campaign is cancelled: no recipients can be added", campaign.status)
    return campaign


async def _until_stop(importing: Coroutine[Any, Any, None], stopping: asyncio.Event) -> None:
    """Run the import, and end it if the process stops or the time is over. Raises Problem then."""
    work, stop = asyncio.create_task(importing), asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({work, stop}, timeout=IMPORT_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            await work
        elif stop.done():
            detail = "The API stops. Send the file again to add the rest."
            raise Problem(ProblemCode.UNAVAILABLE, detail, headers={"Retry-After": str(RETRY_AFTER_S)})
        else:
            detail = f"The import took more than {IMPORT_TIMEOUT_S:.0f} s. Send the file again to add the rest."
            raise Problem(ProblemCode.BODY_TOO_SLOW, detail)
    finally:
        stop.cancel()
        if work.cancel():
            await asyncio.wait({work})


def _summary(outcome: ImportOutcome) -> Response:
    totals, layout = outcome.totals, outcome.file.layout
    columns = None if layout is None else layout.columns
    headers = () if columns is None else columns.headers
    body = RecipientsImported(
        lines=totals.lines,
        added=totals.added,
        countries=dict(totals.countries.most_common()),
        duplicates=totals.duplicates,
        refused=totals.refused,
        first_duplicates=outcome.duplicates,
        first_refused=outcome.refused,
        encoding=outcome.file.encoding,
        delimiter=None if layout is None else layout.delimiter,
        phone_column=None if columns is None else headers[columns.phone],
        parameter_columns={} if columns is None else {name: headers[place] for name, place in columns.parameters},
        unused_columns=[] if columns is None else list(columns.unused),
        decimal_comma_columns=[] if columns is None else list(columns.decimal_commas),
    )
    return Response(body.model_dump_json(), media_type="application/json")


def _refused_file(outcome: ImportOutcome, spool: SpooledTemporaryFile[bytes]) -> Response:
    """The file of the refused lines, with the counts in headers."""
    layout, totals = outcome.file.layout, outcome.totals
    if layout is not None and not spool.tell():
        spool.write(refused_head(layout).encode())
    spool.seek(0)
    is_json = layout is not None and layout.delimiter is None
    named = {
        "Content-Disposition": f'attachment; filename="refused.{"jsonl" if is_json else "csv"}"',
        "Import-Lines": str(totals.lines),
        "Import-Added": str(totals.added),
        "Import-Duplicates": str(totals.duplicates),
        "Import-Refused": str(totals.refused),
    }
    return StreamingResponse(pieces(spool), media_type=JSON_LINES_TYPE if is_json else CSV_TYPE, headers=named)


async def pieces(spool: SpooledTemporaryFile[bytes]) -> AsyncIterator[bytes]:
    """The rest of a temporary file, which is closed then."""
    with spool:
        while piece := await asyncio.to_thread(spool.read, _READ_BYTES):
            yield piece
