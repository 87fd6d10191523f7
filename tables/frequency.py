"""The frequency cap, which every releaser and every claim reads. The rules are pure: `domain.frequency`.

The cap is a row and not a setting of a process, so all processes have the same one, and a change holds at once.
"""

from __future__ import annotations

from typing import Any

from domain.frequency import OUTCOME_WAIT, FrequencyCap
from tables.database import Connection
from tables.statements import load

_SQL = load("frequency")


async def read_cap(connection: Connection) -> FrequencyCap | None:
    """The cap; None: there is none."""
    return await _cap(connection, "read_cap")


async def lock_cap(connection: Connection) -> FrequencyCap | None:
    """The cap. In the transaction no other releaser releases, so two of them do not exceed the cap together."""
    return await _cap(connection, "lock_cap")


async def write_cap(connection: Connection, cap: FrequencyCap) -> None:
    """Set the cap. A recipient that waits for the former one keeps its time."""
    await connection.execute(_SQL["write_cap"], {"messages": cap.messages, "days": cap.days})


async def remove_cap(connection: Connection) -> None:
    """Remove the cap. A recipient that waits for it keeps its time."""
    await connection.execute(_SQL["remove_cap"])


def release_parameters(cap: FrequencyCap | None, wait_days: int) -> dict[str, Any]:
    """The parameters of a release. `wait_days`: how long after its planned time a recipient waits for the cap."""
    return {
        "cap_messages": None if cap is None else cap.messages,
        "cap_days": None if cap is None else cap.days,
        "cap_wait_days": wait_days,
        "outcome_wait": OUTCOME_WAIT,
    }


async def _cap(connection: Connection, statement: str) -> FrequencyCap | None:
    row = await (await connection.execute(_SQL[statement])).fetchone()
    return None if row is None else FrequencyCap(row[0], row[1])
