"""What the page shows of a campaign, computed from its row and its stats. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from api.pages.advice import FailureLine, SkipLine, failure_lines, pause_text, skip_lines
from domain.breakers import Scope
from domain.canary import Canary
from domain.days import UnknownTimeZone
from domain.lifecycle import ACTIONS, Action, CampaignStatus
from domain.stats import everything_fails, percentage
from domain.template_edits import TemplateFit
from domain.windows import WEEK, InvalidWindow, WindowZone, next_open
from schemas.stats import CampaignStats
from tables.breakers import KnownBreaker
from tables.campaign_names import short_id
from tables.campaigns import WINDOW_SETTINGS, Campaign, window_of

RATES_FROM_SENT = 100
"""A rate of fewer messages says little, so it is shown in grey."""


@dataclass(frozen=True, slots=True)
class StatusWord:
    """How a state is shown: by a word and an icon, and never by a colour alone."""

    word: str
    icon: str
    tone: str


STATUS_WORDS: Mapping[CampaignStatus, StatusWord] = MappingProxyType(
    {
        CampaignStatus.ACTIVE: StatusWord("Running", "play", "good"),
        CampaignStatus.PAUSED: StatusWord("Paused", "pause", "warn"),
        CampaignStatus.DRAFT: StatusWord("Draft", "pencil", "quiet"),
        CampaignStatus.COMPLETED: StatusWord("Finished", "check", "done"),
        CampaignStatus.CANCELLED: StatusWord("Cancelled", "cross", "quiet"),
    }
)
"""In the order of the list."""
_ENDED = frozenset({CampaignStatus.COMPLETED, CampaignStatus.CANCELLED})
"""Such a campaign sends nothing, so nothing can stop it."""
EDIT_WORDS: Mapping[TemplateFit | None, str] = MappingProxyType(
    {
        None: "not compared with the parameters",
        TemplateFit.FITS: "the parameters fit",
        TemplateFit.MISFITS: "the parameters do not fit",
        TemplateFit.UNREADABLE: "it cannot be read",
    }
)
"""What the comparison with an edited template showed."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the bar: recipients who are in one state now."""

    kind: str
    word: str
    count: int
    start: float
    """Where it begins, in per cent of the bar."""
    width: float


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """One step of the funnel. A person who has read counts in the steps before too."""

    kind: str
    word: str
    count: int
    share: float | None
    """Per cent of the sent messages; None for the first step."""


@dataclass(frozen=True, slots=True)
class ShownBreaker:
    """A breaker that stops messages of the campaign, or will stop those of a draft."""

    scope: Scope
    key: str
    since: datetime
    reason: str
    needs_human: bool


@dataclass(frozen=True, slots=True)
class CampaignView:
    """Everything that the page shows of one campaign at one moment."""

    campaign: Campaign
    stats: CampaignStats
    short: str
    status: StatusWord
    waits_until: datetime | None
    """When it begins to send, because it is before its start or outside its window."""
    hours: str
    """When it sends, in words; empty if at any time."""
    canary: str
    """What the canary does now, in words; empty without one."""
    eta: datetime | None
    per_s: float | None
    segments: tuple[Segment, ...]
    funnel: tuple[FunnelStep, ...]
    has_rates: bool
    """Whether enough was sent for the rates to mean something."""
    to_do: int
    pause: str
    failures: tuple[FailureLine, ...]
    skips: tuple[SkipLine, ...]
    breakers: tuple[ShownBreaker, ...]
    everything_fails: bool
    actions: frozenset[str]

    @property
    def edit(self) -> str:
        """What the comparison of the edited template with the parameters showed."""
        return EDIT_WORDS[self.campaign.template_fit]

    @property
    def repeatable(self) -> tuple[FailureLine, ...]:
        """The failures about which a person can do something."""
        return tuple(each for each in self.failures if each.can_repeat)

    @property
    def needs_attention(self) -> bool:
        """Whether there is anything that a person should know or do."""
        return bool(
            self.failures or self.stats.unknown or self.breakers or self.campaign.status is CampaignStatus.PAUSED
        )


def view(
    campaign: Campaign,
    stats: CampaignStats,
    *,
    eta: datetime | None = None,
    per_s: float | None = None,
    breakers: Iterable[KnownBreaker] = (),
    canary: Canary | None = None,
) -> CampaignView:
    """The view of a campaign. `per_s`: recipients handled per second now. `breakers`: the open ones of its scopes.

    `canary`: the step that limits it.
    """
    status = CampaignStatus(stats.status)
    actions = frozenset(action.value for action, (states, _) in ACTIONS.items() if status in states)
    return CampaignView(
        campaign=campaign,
        stats=stats,
        short=short_id(campaign.id),
        status=STATUS_WORDS[status],
        waits_until=waits_until(campaign, stats.as_of) if status is CampaignStatus.ACTIVE else None,
        hours=hours(campaign),
        canary=canary_words(canary) if status is CampaignStatus.ACTIVE else "",
        eta=eta,
        per_s=per_s if status is CampaignStatus.ACTIVE else None,
        segments=segments(stats),
        funnel=funnel(stats),
        has_rates=stats.sent >= RATES_FROM_SENT,
        to_do=stats.pending + stats.queued,
        pause=pause_text(campaign.pause_reason),
        failures=failure_lines(stats.failures),
        skips=skip_lines(stats.skips),
        breakers=() if status in _ENDED else tuple(_shown(each) for each in breakers),
        everything_fails=everything_fails(stats),
        actions=actions - {Action.ACTIVATE.value} if stats.total_target == 0 else actions,
    )


def waits_until(campaign: Campaign, now: datetime) -> datetime | None:
    """When the first message may leave. None: now, or it depends on the recipient's country or cannot be known."""
    start = max(now, campaign.start_at or now)
    if campaign.window_zone != WindowZone.CAMPAIGN:
        return start if start > now else None
    try:
        window = window_of({name: getattr(campaign, name) for name in WINDOW_SETTINGS})
        opens = next_open(window, (campaign.time_zone,), start)
    except (UnknownTimeZone, InvalidWindow):  # the scheduler pauses such a campaign and gives the reason
        return None
    return opens if opens is not None and opens > now else None


def canary_words(canary: Canary | None) -> str:
    """What the canary does now: it sends to its first people, or waits for their outcomes."""
    if canary is None or canary.allowed is None:
        return ""
    if canary.room:
        return f"sends to its first {canary.allowed:,} people"
    return f"waits for the outcomes of its first {canary.allowed:,} people before it sends to more"


def hours(campaign: Campaign) -> str:
    """The window in words, such as `09:00 to 20:00, mon to fri`."""
    words = []
    if (campaign.window_from, campaign.window_to) != ("00:00", "24:00"):
        words.append(f"{campaign.window_from} to {campaign.window_to}")
    if len(campaign.window_days) < len(WEEK):
        words.append(" ".join(str(day).capitalize()[:3] for day in WEEK if day in campaign.window_days))
    if campaign.quiet_from is not None:
        words.append(f"not {campaign.quiet_from} to {campaign.quiet_to}")
    if words and campaign.window_zone != WindowZone.CAMPAIGN:
        words.append("by the clock of each country")
    return ", ".join(words)


def segments(stats: CampaignStats) -> tuple[Segment, ...]:
    """The parts of the bar. Every recipient is in exactly one, so they sum up to the total."""
    waiting = stats.pending + stats.queued
    arrived = max(0, stats.total_target - waiting - stats.failed - stats.skipped - stats.unknown)
    read = min(stats.read, arrived)
    delivered = min(max(stats.delivered, read), arrived)
    counts = (
        ("read", "Read", read),
        ("delivered", "Delivered, not read", delivered - read),
        ("sent", "Sent, not delivered", arrived - delivered),
        ("failed", "Failed", stats.failed),
        ("skipped", "Skipped", stats.skipped),
        ("unknown", "Unknown", stats.unknown),
        ("waiting", "To do", waiting),
    )
    total = sum(count for _, _, count in counts) or 1
    found, before = [], 0
    for kind, word, count in counts:
        found.append(Segment(kind, word, count, 100 * before / total, 100 * count / total))
        before += count
    return tuple(found)


def funnel(stats: CampaignStats) -> tuple[FunnelStep, ...]:
    """Sent, delivered, read, replied: each as a share of the sent messages."""
    return (
        FunnelStep("sent", "Sent", stats.sent, None),
        FunnelStep("delivered", "Delivered", stats.delivered, stats.delivery_rate),
        FunnelStep("read", "Read", stats.read, stats.read_rate),
        FunnelStep("replied", "Replied", stats.replied, percentage(stats.replied, stats.sent)),
    )


def _shown(breaker: KnownBreaker) -> ShownBreaker:
    assert breaker.opened_at is not None, "only open breakers are shown"
    return ShownBreaker(
        breaker.scope, breaker.key, breaker.opened_at, breaker.reason or "no reason was given", breaker.needs_human
    )
