"""Conducts `campaigns verify`: repairs counters on request, checks rows and ledger, compares rows with the topic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from operations import audit
from operations.comparison import Comparison, compare_with_topic
from operations.options import InvalidOptions
from operations.replay_plan import OnProgress
from runtime.process import Transient
from runtime.settings import Settings
from schemas.model import CampaignId
from schemas.places import OffsetMismatch
from tables.database import connect
from topics.lag import KafkaAway

STATEMENT_TIMEOUT_S = 3600.0
"""Counting millions of rows takes long, and it blocks no other transaction."""


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """The campaign (None: every one), and the steps besides the checks."""

    campaign: UUID | None = None
    repair_counters: bool = False
    is_from_topic: bool = False
    """Compare the rows with the kept events as well."""


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """The differences that were found, and the counters that were corrected before."""

    found: audit.Audit
    repaired: tuple[audit.CounterDifference, ...] = ()
    topic: Comparison | str | None = None
    """The comparison with the topic. A text gives the reason why it could not be made; None: it was not requested."""

    @property
    def differs(self) -> bool:
        """Whether counters, rows, ledger or topic disagree."""
        return not self.found.is_clean or (isinstance(self.topic, Comparison) and self.topic.differs > 0)

    @property
    def is_complete(self) -> bool:
        """Whether every requested check could be made."""
        return self.found.is_complete and not isinstance(self.topic, str)


async def verify(
    settings: Settings,
    options: VerifyOptions,
    on_step: Callable[[str], None] = lambda _: None,
    progress: OnProgress = lambda *_: None,
) -> VerifyReport:
    """Run all checks. `on_step` receives each step of the audit. Raises InvalidOptions for an unknown campaign."""
    campaign = None if options.campaign is None else CampaignId(options.campaign)
    url = settings.database_url.get_secret_value()
    async with await connect(
        url, application_name="campaigns-verify", statement_timeout_s=STATEMENT_TIMEOUT_S
    ) as connection:
        repaired = tuple(await audit.repair_counters(connection, campaign)) if options.repair_counters else ()
        try:
            until = await audit.applied_until(connection, settings)
        except KafkaAway as error:
            on_step(f"Kafka does not answer ({error}); some checks are skipped")
            until = None
        found = await audit.audit(connection, campaign, until, on_step)
    if campaign is not None and found.campaigns == 0:
        raise InvalidOptions(f"there is no campaign {campaign}")
    topic = await _compare(settings, campaign, progress) if options.is_from_topic else None
    return VerifyReport(found, repaired, topic)


async def _compare(settings: Settings, campaign: CampaignId | None, progress: OnProgress) -> Comparison | str:
    try:
        return await compare_with_topic(settings, campaign, progress)
    except (Transient, OffsetMismatch) as error:
        return str(error)
