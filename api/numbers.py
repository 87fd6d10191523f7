"""The route of the sending numbers: their pace, their quality, and what Meta reported about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fastapi import APIRouter

from api.limit_answers import ForeignReportOut, NumberOut, NumbersOut
from api.services import UseListConnection, UseServices
from runtime.logs import mask_phone
from runtime.settings import Settings
from tables import numbers
from tables.database import Connection
from tables.numbers import ForeignReport, KnownNumber

router = APIRouter(prefix="/api/marketing", tags=["campaigns"])


@router.get("/numbers")
async def list_numbers(connection: UseListConnection, services: UseServices) -> NumbersOut:
    """List the sending numbers: those of the settings, and those of campaigns that are not over."""
    return await read_numbers(connection, services.settings)


async def read_numbers(connection: Connection, settings: Settings) -> NumbersOut:
    """Read what is known of the numbers and of the reports about numbers that are not ours."""
    known = await numbers.read_numbers(connection, settings.known_numbers)
    return numbers_out(settings, known, await numbers.read_foreign(connection))


def numbers_out(settings: Settings, known: Sequence[KnownNumber], foreign: Sequence[ForeignReport]) -> NumbersOut:
    """The answer. It has no token, and of each phone number only its ends."""
    reports = [
        ForeignReportOut(number=mask_phone(each.number), report=each.report, reported_at=each.reported_at)
        for each in foreign
    ]
    return NumbersOut(numbers=list(_numbers(settings, known)), foreign_reports=reports)


def _numbers(settings: Settings, known: Sequence[KnownNumber]) -> Iterator[NumberOut]:
    paces, tokens = settings.mps_by_number(), settings.tokens_by_number()
    for each in known:
        yield NumberOut(
            phone_number_id=each.phone_number_id,
            is_default=each.phone_number_id == settings.whatsapp_phone_number_id,
            is_in_settings=each.phone_number_id in settings.known_numbers,
            messages_per_second=paces.get(each.phone_number_id, settings.whatsapp_mps),
            has_own_token=each.phone_number_id in tokens,
            display_phone_number=None if each.shown.digits is None else mask_phone(each.shown.digits),
            quality=each.shown.quality,
            throughput=each.shown.throughput,
            state=each.shown.state,
            read_at=each.read_at,
            report=each.report,
            reported_at=each.reported_at,
            sent_last_day=each.sent_last_day,
        )
