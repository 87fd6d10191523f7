"""Routes of the frequency cap: at most so many messages to one person in so many days, over all campaigns."""

from __future__ import annotations

import structlog

from api.bodies import FrequencyCapIn
from api.limit_answers import FrequencyCapOut
from api.routes import json_router
from api.services import UseConnection, UseListConnection
from domain.frequency import FrequencyCap
from tables import frequency

router = json_router("/api/marketing/frequency-cap", "frequency-cap")
log = structlog.get_logger("api")


@router.get("")
async def read_frequency_cap(connection: UseListConnection) -> FrequencyCapOut:
    """Read the frequency cap. Its fields are null if there is none."""
    cap = await frequency.read_cap(connection)
    return FrequencyCapOut() if cap is None else FrequencyCapOut.model_validate(cap)


@router.put("")
async def set_frequency_cap(body: FrequencyCapIn, connection: UseConnection) -> FrequencyCapOut:
    """Set the frequency cap. It holds at once, and it counts the messages of the last days too.

    A recipient who waits for the former cap keeps the time.
    """
    cap = FrequencyCap(body.messages, body.days)
    await frequency.write_cap(connection, cap)
    log.info("frequency cap set", messages=cap.messages, days=cap.days)
    return FrequencyCapOut.model_validate(cap)


@router.delete("", status_code=204)
async def remove_frequency_cap(connection: UseConnection) -> None:
    """Remove the frequency cap. A recipient who waits for it keeps the time."""
    await frequency.remove_cap(connection)
    log.info("frequency cap removed")
