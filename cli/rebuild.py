"""`campaigns rebuild`: show how the rows of a campaign differ from its kept events, and put them right when asked."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import orjson

from cli.console import run_command
from cli.progress import ProgressLine
from cli.row_changes import as_document, as_line
from operations.rebuild import Rebuilt, RefusedRow, rebuild
from operations.replay_apply import MakesDue
from operations.row_changes import Change
from runtime.process import EXIT_OK
from runtime.settings import Settings
from schemas.model import CampaignId
from schemas.places import OffsetMismatch

EXIT_DIFFERENT = 1
EXIT_REFUSED = 1
LINES_MAX = 50


@dataclass(frozen=True, slots=True)
class RebuildOptions:
    """What is asked for."""

    campaign: UUID
    is_applied: bool = False
    allow_retries: bool = False
    as_json: bool = False


def run_rebuild(wish: RebuildOptions) -> int:
    """`campaigns rebuild`: 0 nothing differs or all is put right, 1 it differs or was refused."""
    return run_command(lambda settings: asyncio.run(_run(settings, wish)))


async def _run(settings: Settings, wish: RebuildOptions) -> int:
    progress = ProgressLine(sys.stderr)
    try:
        found = await rebuild(
            settings, CampaignId(wish.campaign), is_applied=wish.is_applied,
            allow_retries=wish.allow_retries, progress=progress.show,
        )  # fmt: skip
    except RefusedRow as refused:
        return _refused(wish, refused.reason, str(refused))
    except OffsetMismatch as refused:
        return _refused(wish, "another_topic", str(refused))
    except MakesDue as refused:
        said = f"{refused}, and be sent to; --allow-retries does it all the same. What came before is put right"
        return _refused(wish, "makes_due", said, refused.changes)
    finally:
        progress.end()
    _tell(wish, found)
    return EXIT_OK if found.differs == found.rows_swapped else EXIT_DIFFERENT


def _refused(wish: RebuildOptions, reason: str, said: str, made_due: Sequence[Change] = ()) -> int:
    if wish.as_json:
        due = [as_document(change) for change in made_due]
        print(orjson.dumps({"verdict": "refused", "reason": reason, "made_due": due}).decode())
    for change in made_due[:LINES_MAX]:
        print(as_line(change), file=sys.stderr)
    print(f"refused, {reason}: {said}", file=sys.stderr)
    return EXIT_REFUSED


def _tell(wish: RebuildOptions, found: Rebuilt) -> None:
    if wish.as_json:
        document = {
            "verdict": "equal" if not found.differs else "rebuilt" if wish.is_applied else "differs",
            "records": found.records,
            "differs": found.differs,
            "waiting": found.waiting,
            "outside_retention": found.outside_retention,
            "rows_swapped": found.rows_swapped,
            "changes": [as_document(change) for change in found.changes],
        }
        print(orjson.dumps(document).decode())
        return
    for change in found.changes[:LINES_MAX]:
        print(as_line(change))
    if len(found.changes) > LINES_MAX:
        print(f"… and {found.differs - LINES_MAX} more (--json shows up to 10,000)")
    left = (
        f"; {found.outside_retention} left as they are: their events may be deleted" if found.outside_retention else ""
    )
    left += f"; {found.waiting} with an answer on its way" if found.waiting else ""
    done = f"{found.rows_swapped} put right" if wish.is_applied else "--apply puts them right"
    print(f"{found.records} records; {found.differs} row(s) differ from the topic, {done}{left}")
