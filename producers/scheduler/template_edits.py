"""Compares edited templates with the recipients of the active campaigns that send with them.

It is one loop of the leader. The sink has noted which campaigns an edit is about. The template is read from the Cloud
API, because the webhook lacks a part of its structure. No campaign waits meanwhile: one that no longer fits is paused
as soon as its first misfitting recipients are found, and one whose template cannot be read is paused after three tries.

The recipients are compared over a connection of its own, so that the leader's stays free for the releases.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from uuid import UUID

import structlog

from domain.template_edits import EditVerdict, TemplateFit, misfitting, refused, unread
from domain.template_fit import find_faults
from domain.templates import MessageTemplate
from producers.scheduler.upkeep import losing_what_is_locked
from producers.scheduler.work import WorkWatch
from runtime.settings import Settings
from runtime.settings_rules import MARKETING_ENDPOINT, has_simulator
from runtime.template_reader import TemplateReader, TemplatesUnreadable
from tables import template_checks, template_edits
from tables.database import Connection, connect
from tables.leadership import Leader
from tables.release_memory import FIRST_ID
from tables.template_edits import EditedCampaign
from tables.work import WorkKind

ROUND_S = 1.0
READS_MAX = 3
"""After so many rounds in which the template could not be read, the campaign is paused."""
COMPARE_S = 5.0
"""So long the recipients of one campaign are compared in a round. The next round continues."""
CHUNK_ROWS = 5000

log = structlog.get_logger("scheduler")


async def watch_edits(leader: Leader, settings: Settings, stop: asyncio.Event, work: WorkWatch) -> None:
    """Run a round every second until `stop`, while there are active campaigns."""
    comparison = EditComparison(settings, TemplateReader(settings))
    while await work.next_round(stop, frozenset({WorkKind.ACTIVE}), ROUND_S) is not None:
        async with leader.turn() as connection:
            edited = await template_edits.read_uncompared(connection)
        for campaign, verdict in await comparison.compare(edited):
            with losing_what_is_locked(f"edited template of campaign {campaign.id}"):
                async with leader.turn() as connection:
                    is_stored = await template_edits.settle(connection, campaign, verdict)
                if is_stored:
                    _log(campaign, verdict)


class EditComparison:
    """The comparisons that are not over, and how far each of them is."""

    def __init__(self, settings: Settings, reader: TemplateReader, compare_s: float = COMPARE_S) -> None:
        self._settings = settings
        self._reader = reader
        self._compare_s = compare_s
        self._failed_reads: dict[tuple[UUID, datetime], int] = {}
        self._places: dict[tuple[UUID, datetime], UUID] = {}

    async def compare(self, edited: Sequence[EditedCampaign]) -> list[tuple[EditedCampaign, EditVerdict]]:
        """Compare for one round, and return the verdicts that are known. Raises psycopg.Error."""
        self._forget({(each.id, each.edited_at) for each in edited})
        if not edited:
            return []
        try:
            found = {name: await self._reader.read_named(name, fresh=True) for name in _names(edited)}
        except TemplatesUnreadable as why:
            return [(each, unread(str(why))) for each in edited if self._has_failed_often(each)]
        verdicts = [(each, await self._verdict(each, found)) for each in edited]
        return [(each, verdict) for each, verdict in verdicts if verdict is not None]

    def _forget(self, present: set[tuple[UUID, datetime]]) -> None:
        self._failed_reads = {key: n for key, n in self._failed_reads.items() if key in present}
        self._places = {key: place for key, place in self._places.items() if key in present}

    def _has_failed_often(self, campaign: EditedCampaign) -> bool:
        key = (campaign.id, campaign.edited_at)
        self._failed_reads[key] = self._failed_reads.get(key, 0) + 1
        return self._failed_reads[key] >= READS_MAX

    async def _verdict(
        self, campaign: EditedCampaign, found: Mapping[str, Sequence[MessageTemplate]]
    ) -> EditVerdict | None:
        languages = found[campaign.template_name]
        findings = find_faults(
            languages,
            campaign.language_code,
            needs_marketing=(campaign.endpoint or self._settings.whatsapp_endpoint) == MARKETING_ENDPOINT,
            takes_unlisted=has_simulator(self._settings),
        )
        verdict = refused(findings)
        if verdict is not None:
            return verdict
        template = next((each for each in languages if each.language == campaign.language_code), None)
        if template is None:  # a simulator takes templates that it does not list
            return unread("The account does not list it.")
        connection = await connect(
            self._settings.database_url.get_secret_value(), application_name="campaigns-template-edits"
        )
        async with connection:
            return await self._fit(connection, campaign, template)

    async def _fit(
        self, connection: Connection, campaign: EditedCampaign, template: MessageTemplate
    ) -> EditVerdict | None:
        """The verdict on the recipients. None: the comparison continues in the next round."""
        key = (campaign.id, campaign.edited_at)
        until = time.monotonic() + self._compare_s
        chunks = template_checks.compare(
            connection, campaign.id, template, 1, CHUNK_ROWS, after=self._places.get(key, FIRST_ID), waiting_only=True
        )
        async with aclosing(chunks):
            async for chunk in chunks:
                if chunk.groups:
                    largest = max(chunk.groups, key=lambda group: group.recipients)
                    return misfitting(largest.misfits, sum(group.recipients for group in chunk.groups))
                self._places[key] = chunk.last
                if time.monotonic() > until:
                    return None
        return EditVerdict(TemplateFit.FITS)


def _names(edited: Sequence[EditedCampaign]) -> list[str]:
    return list(dict.fromkeys(each.template_name for each in edited))


def _log(campaign: EditedCampaign, verdict: EditVerdict) -> None:
    values = {"campaign_id": str(campaign.id), "template": campaign.template_name, "language": campaign.language_code}
    if verdict.reason is None:
        log.info("the parameters fit the edited template; the campaign goes on", **values)
    else:
        log.error("campaign paused by an edited template", fit=verdict.fit.value, reason=verdict.reason, **values)
