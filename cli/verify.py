"""`campaigns verify`: do counters, rows and ledger say the same? Names what differs; repairs counters when asked.

What the kept topics say about the rows (`--from-topic`) is asked elsewhere and joins the same answer.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict, dataclass, replace
from typing import Any
from uuid import UUID

import orjson

from cli.comparison import comparison_document, comparison_lines
from cli.console import note, printable, run_command
from cli.progress import ProgressLine
from operations import audit
from operations.comparison import Comparison, compare_with_topic
from runtime.logs import mask_text
from runtime.process import EXIT_OK, EXIT_TRANSIENT, EXIT_USAGE, Transient
from runtime.settings import Settings
from schemas.model import CampaignId
from schemas.places import OffsetMismatch
from tables.database import connect
from topics.lag import KafkaAway

EXIT_DIFFERENT = 1
STATEMENT_TIMEOUT_S = 3600.0
"""A count of millions of rows takes its time, and holds up nobody."""


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What is told, and how the command ends."""

    found: audit.Audit
    repaired: tuple[audit.CounterDifference, ...] = ()
    topic: Comparison | str | None = None
    """What the kept topic says; a text: why it could not be asked."""

    @property
    def exit_code(self) -> int:
        """1 where something differs, 75 where something could not be judged."""
        if not self.found.is_clean or (isinstance(self.topic, Comparison) and self.topic.differs):
            return EXIT_DIFFERENT
        return EXIT_OK if self.is_complete else EXIT_TRANSIENT

    @property
    def is_complete(self) -> bool:
        """Everything that was asked could be judged."""
        return self.found.is_complete and not isinstance(self.topic, str)


def run_verify(campaign: UUID | None, *, as_json: bool, repair_counters: bool, is_from_topic: bool = False) -> int:
    """`campaigns verify`."""
    return run_command(
        lambda settings: _run(
            settings, campaign, as_json=as_json, repair_counters=repair_counters, is_from_topic=is_from_topic
        )
    )


def _run(
    settings: Settings, campaign: UUID | None, *, as_json: bool, repair_counters: bool, is_from_topic: bool
) -> int:
    answer = asyncio.run(_verify(settings, campaign, repair_counters=repair_counters))
    if campaign is not None and answer.found.campaigns == 0:
        note(f"there is no campaign {campaign}")
        return EXIT_USAGE
    if is_from_topic:
        answer = replace(answer, topic=asyncio.run(_compare(settings, campaign)))
    print(orjson.dumps(as_document(answer)).decode() if as_json else "\n".join(as_lines(answer)))
    return answer.exit_code


async def _verify(settings: Settings, campaign: UUID | None, *, repair_counters: bool) -> VerifyReport:
    url = settings.database_url.get_secret_value()
    only = None if campaign is None else CampaignId(campaign)
    async with await connect(
        url, application_name="campaigns-verify", statement_timeout_s=STATEMENT_TIMEOUT_S
    ) as connection:
        repaired = tuple(await audit.repair_counters(connection, only)) if repair_counters else ()
        try:
            until = await audit.applied_until(connection, settings)
        except KafkaAway as error:
            note(f"Kafka is away ({error}): some checks are left out")
            until = None
        return VerifyReport(await audit.audit(connection, only, until, note), repaired)


async def _compare(settings: Settings, campaign: UUID | None) -> Comparison | str:
    progress = ProgressLine(sys.stderr)
    try:
        only = None if campaign is None else CampaignId(campaign)
        return await compare_with_topic(settings, only, progress.show)
    except (Transient, OffsetMismatch) as error:
        return str(error)
    finally:
        progress.end()


def as_document(answer: VerifyReport) -> dict[str, Any]:
    """The answer for `--json`."""
    found = answer.found
    return {
        "verdict": {EXIT_DIFFERENT: "differs", EXIT_OK: "exact"}.get(answer.exit_code, "incomplete"),
        "as_of": found.as_of,
        "campaigns": found.campaigns,
        "counters": [_counter(each) for each in found.counters],
        "counters_repaired": [_counter(each) for each in answer.repaired],
        "checks": [asdict(check) for check in found.checks],
        **({} if answer.topic is None else {"from_topic": comparison_document(answer.topic)}),
    }


def as_lines(answer: VerifyReport) -> list[str]:
    """The answer for people."""
    found = answer.found
    lines = [f"repaired  {_counter_line(each)}" for each in answer.repaired]
    lines += [f"DIFFERS   {_counter_line(each)}  → campaigns verify --repair-counters" for each in found.counters]
    if not found.counters:
        lines.append(f"ok        counters = rows, in {found.campaigns} campaign(s)")
    for check in found.checks:
        if check.not_checked:
            lines.append(f"unjudged  {check.check}: {check.not_checked}")
        elif check.count == 0:
            lines.append(f"ok        {check.check}: none")
        else:
            lines.append(f"DIFFERS   {check.check}: {check.count}")
            lines += [f"            {_place(each)}: {each.said}" for each in check.findings]
            step = "campaigns trace <recipient id>" if check.findings[0].recipient_id else "campaigns verify --campaign"
            lines.append(f"            → {step}")
    return lines if answer.topic is None else [*lines, *comparison_lines(answer.topic)]


def _place(finding: audit.AuditFinding) -> str:
    parts = [f"campaign {finding.campaign_id}"] if finding.campaign_id else []
    parts += [f"recipient {finding.recipient_id}"] if finding.recipient_id else []
    parts += [f"attempt {finding.attempt}"] if finding.attempt is not None else []
    return ", ".join(parts)


def _counter(each: audit.CounterDifference) -> dict[str, Any]:
    return {"campaign_id": each.campaign_id, **asdict(each.difference), "key": mask_text(each.difference.key)}


def _counter_line(each: audit.CounterDifference) -> str:
    difference = each.difference
    name = printable(mask_text(f"{difference.dimension}/{difference.key}"))
    return f"campaign {each.campaign_id}: counter {name} says {difference.told}, the rows say {difference.counted}"
