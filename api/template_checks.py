"""Compares a campaign with its template before anything is sent, for the REST API and the command line.

A template that cannot be read is a warning: Meta's answer must never be needed to start a campaign. What Meta would
refuse for certain refuses the activation and the resume, unless the operator insists. A resume compares the recipients
that may still get a message, because the template may have been edited while the campaign was paused. No lock is held
while recipients are compared.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from uuid import UUID

from domain.lifecycle import ACTIONS, Action, ActionNotAllowed, CampaignStatus
from domain.template_fit import Finding, Misfit, find_faults, misfits_of
from domain.templates import MessageTemplate
from runtime.settings import Settings
from runtime.settings_rules import MARKETING_ENDPOINT, has_simulator
from runtime.template_reader import TemplateReader, TemplatesUnreadable
from schemas.reasons import ParameterMisfit, TemplateFault
from tables import campaigns, template_checks
from tables.campaigns import Campaign
from tables.database import Connecting, Connection
from tables.template_checks import ComparedChunk

LINES_MAX = 20
"""Recipients that do not fit and are named."""
COMPARE_S = 10.0
"""So long recipients are compared, because an operator waits for it."""
REASONS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class MisfitCount:
    """How many recipients have one misfit."""

    reason: ParameterMisfit
    field: str
    detail: str
    recipients: int


@dataclass(frozen=True, slots=True)
class MisfitLine:
    """A recipient whose parameters do not fit, and the reasons."""

    recipient_id: UUID
    phone_number: str = field(repr=False)
    misfits: tuple[Misfit, ...]


@dataclass(frozen=True, slots=True)
class TemplateCheck:
    """What a campaign and its template have against each other."""

    template: MessageTemplate | None
    """None if it does not exist in this language, or cannot be read."""
    findings: tuple[Finding, ...]
    compared: int = 0
    """Recipients whose parameters were compared."""
    misfitting: int = 0
    """Those that do not fit."""
    counts: tuple[MisfitCount, ...] = ()
    lines: tuple[MisfitLine, ...] = ()
    """The first of them."""

    @property
    def refuses(self) -> bool:
        """Whether Meta would refuse some or all messages."""
        return self.misfitting > 0 or any(each.refuses for each in self.findings)

    @property
    def reasons(self) -> list[str]:
        """What is wrong, in sentences: what refuses first."""
        ordered = sorted(self.findings, key=lambda each: not each.refuses)
        of_recipients = [f"{each.recipients:,} recipient(s), {each.field}: {each.detail}" for each in self.counts]
        return (
            [each.detail for each in ordered if each.refuses]
            + of_recipients
            + [each.detail for each in ordered if not each.refuses]
        )


class TemplateRefused(ActionNotAllowed):
    """Meta would refuse messages of the campaign; nothing was changed."""

    def __init__(self, check: TemplateCheck, status: CampaignStatus, command: str) -> None:
        self.check = check
        self.command = command
        """The command that was refused. With --ignore-template it acts all the same."""
        shown = " ".join(check.reasons[:REASONS_SHOWN])
        super().__init__(f"Meta would refuse messages of the campaign. {shown}", status)


async def check_template(
    connecting: Connecting,
    settings: Settings,
    reader: TemplateReader,
    campaign: Campaign,
    *,
    fresh: bool = False,
    compare_s: float = COMPARE_S,
    waiting_only: bool = False,
    failed_too: bool = False,
) -> TemplateCheck:
    """Compare a campaign and its recipients with the template as Meta has it. Nothing is changed.

    `waiting_only` and `failed_too`: which recipients, as in `tables.template_checks.compare`. No connection is held
    while Meta answers.
    """
    try:
        found = await reader.read_named(campaign.template_name, fresh=fresh)
    except TemplatesUnreadable as why:
        return _unreadable(why)
    findings, template = _judged(settings, campaign, found)
    if template is None:
        return TemplateCheck(None, tuple(findings))
    async with connecting() as connection:
        chunks = template_checks.compare(
            connection, campaign.id, template, LINES_MAX, waiting_only=waiting_only, failed_too=failed_too
        )
        return await _compare(connection, chunks, template, findings, time.monotonic() + compare_s)


async def known_template(reader: TemplateReader, name: str, language: str) -> MessageTemplate | None:
    """A template whose names an import may use. None if it does not exist or cannot be read."""
    try:
        found = await reader.read_named(name)
    except TemplatesUnreadable:
        return None
    return next((each for each in found if each.language == language), None)


async def require_template(
    connecting: Connecting,
    settings: Settings,
    reader: TemplateReader,
    campaign_id: UUID,
    action: Action = Action.ACTIVATE,
    *,
    failed_too: bool = False,
) -> TemplateCheck | None:
    """The check before an activation or a resume; None in a state that does not allow it.

    `failed_too`: the resume sends to failed recipients again. Raises TemplateRefused and UnknownCampaign.
    """
    async with connecting() as connection:
        campaign = await campaigns.read(connection, campaign_id)
    if campaign.status not in ACTIONS[action][0]:
        return None
    check = await check_template(
        connecting,
        settings,
        reader,
        campaign,
        fresh=True,
        waiting_only=action is Action.RESUME,
        failed_too=failed_too,
    )
    if check.refuses:
        raise TemplateRefused(check, campaign.status, action.value)
    return check


async def require_message(
    settings: Settings, reader: TemplateReader, campaign: Campaign, given: object
) -> TemplateCheck:
    """The check of one message with these parameters. Raises TemplateRefused."""
    try:
        found = await reader.read_named(campaign.template_name)
    except TemplatesUnreadable as why:
        return _unreadable(why)
    findings, template = _judged(settings, campaign, found)
    wrong = [] if template is None else misfits_of(template, given)
    counts = tuple(MisfitCount(each.reason, each.field, each.detail, 1) for each in wrong)
    check = TemplateCheck(template, tuple(findings), 1, 1 if wrong else 0, counts)
    if check.refuses:
        raise TemplateRefused(check, campaign.status, "test-send")
    return check


def _unreadable(why: TemplatesUnreadable) -> TemplateCheck:
    return TemplateCheck(None, (_warning(TemplateFault.UNREADABLE, f"The template was not checked. {why}"),))


def _judged(
    settings: Settings, campaign: Campaign, found: Sequence[MessageTemplate]
) -> tuple[list[Finding], MessageTemplate | None]:
    """What is wrong with the template of a campaign, and the template in its language."""
    findings = find_faults(
        found,
        campaign.language_code,
        needs_marketing=(campaign.endpoint or settings.whatsapp_endpoint) == MARKETING_ENDPOINT,
        takes_unlisted=has_simulator(settings),
    )
    return findings, next((each for each in found if each.language == campaign.language_code), None)


async def _compare(
    connection: Connection,
    compared_chunks: AsyncGenerator[ComparedChunk, None],
    template: MessageTemplate,
    findings: Sequence[Finding],
    until: float,
) -> TemplateCheck:
    compared = misfitting = 0
    counts: Counter[Misfit] = Counter()
    first: dict[UUID, tuple[Misfit, ...]] = {}
    is_late = False
    async with aclosing(compared_chunks) as chunks:
        async for chunk in chunks:
            compared += chunk.recipients
            for group in chunk.groups:
                misfitting += group.recipients
                for misfit in group.misfits:
                    counts[misfit] += group.recipients
            if len(first) < LINES_MAX:
                named = sorted((each, group.misfits) for group in chunk.groups for each in group.first)
                first |= dict(named[: LINES_MAX - len(first)])
            if time.monotonic() > until:
                is_late = True
                break
    known = await template_checks.read_first(connection, list(first)) if first else []
    late = [_warning(TemplateFault.UNCHECKED, f"Only the first {compared:,} recipients were compared.")]
    return TemplateCheck(
        template,
        (*findings, *(late if is_late else ())),
        compared,
        misfitting,
        tuple(MisfitCount(each.reason, each.field, each.detail, n) for each, n in counts.most_common()),
        tuple(MisfitLine(each.id, each.phone_number, first[each.id]) for each in known),
    )


def _warning(fault: TemplateFault, detail: str) -> Finding:
    return Finding(fault, detail, refuses=False)
