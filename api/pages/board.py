"""The newest known figures of campaigns in memory, and the streams that wait for them. It does no I/O.

Kafka and Postgres both report figures with the time of Postgres at which they were true, and the later time wins. While
both are away the board keeps what it has, and `LiveState` has since when.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from api.pages.views import CampaignView, view
from domain.canary import Canary
from domain.lifecycle import CampaignStatus
from domain.portfolio import PortfolioUse
from schemas.stats import CampaignProgress, CampaignStats
from tables.breakers import KnownBreaker
from tables.campaigns import Campaign

KNOWN_MAX = 1000
"""Campaigns in memory. Beyond it, the one that was reported the longest ago is forgotten."""
WANTED_MAX = 200
"""Campaigns of the topic that are not known yet and shall be read from Postgres."""
SPEED_WINDOW = timedelta(seconds=15)
STREAMS_MAX = 300
"""Open pages of one process. Each costs a connection and some kilobytes."""

_STATUS_BY_WORD = {each.value: each for each in CampaignStatus}
Sample = tuple[datetime, int]
"""How many recipients were handled at a time."""


@dataclass(frozen=True, slots=True)
class LiveState:
    """Which sources answer, and the parts of the pipeline that do not run."""

    kafka_away_since: datetime | None = None
    postgres_away_since: datetime | None = None
    missing: tuple[str, ...] = ()
    people: PortfolioUse | None = None
    """The budget of people of the portfolio."""
    is_known: bool = False
    """Whether Postgres has answered once, so that `missing` means something."""


@dataclass(slots=True)
class KnownCampaign:
    """What is known of one campaign, and the parts of pages that were rendered from it."""

    campaign: Campaign
    stats: CampaignStats
    eta: datetime | None = None
    breakers: tuple[KnownBreaker, ...] = ()
    canary: Canary | None = None
    """The step that limits it; None: it sends to everybody."""
    samples: deque[Sample] = field(default_factory=deque)
    fragments: dict[str, str] = field(default_factory=dict)

    def view(self) -> CampaignView:
        """The view at this moment."""
        return view(
            self.campaign,
            self.stats,
            eta=self.eta,
            per_s=speed(self.samples),
            breakers=self.breakers,
            canary=self.canary,
        )

    def fragment(self, template: str, render: Callable[[str, CampaignView], str]) -> str:
        """The rendered part, once for all streams."""
        if template not in self.fragments:
            self.fragments[template] = render(template, self.view())
        return self.fragments[template]


class PageStream:
    """What one stream has not sent yet. A campaign that changes many times is in it once."""

    def __init__(self, campaign: UUID | None) -> None:
        self.campaign = campaign
        """The campaign of the page; None for the list of all."""
        self._dirty: set[UUID] = set()
        self._changed = asyncio.Event()

    def notice(self, campaign: UUID | None = None) -> None:
        """Record that a campaign, or the state of the pipeline, has changed."""
        if campaign is not None:
            if self.campaign not in (None, campaign):
                return
            self._dirty.add(campaign)
        self._changed.set()

    async def wait(self, seconds: float) -> None:
        """Wait for a change, or for so long."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)

    def take(self) -> set[UUID]:
        """The campaigns that have changed since the last call."""
        taken, self._dirty = self._dirty, set()
        self._changed.clear()
        return taken


class Board:
    """The figures of one API process."""

    def __init__(self) -> None:
        self.state = LiveState()
        self.groups: tuple[tuple[CampaignStatus, UUID], ...] | None = None
        """The campaigns of the list in its order; None before it was read."""
        self.is_closed = False
        self.watched = asyncio.Event()
        """Set while a page is open."""
        self.refresh = asyncio.Event()
        """Set when Postgres shall be read at once."""
        self._wanted: set[UUID] = set()
        self._known: dict[UUID, KnownCampaign] = {}
        self._streams: set[PageStream] = set()

    # ------------------------------------------------------------------------------------------------------ the pages

    @contextmanager
    def subscribe(self, campaign: UUID | None) -> Iterator[PageStream]:
        """Follow one campaign, or all, until the block ends."""
        stream = PageStream(campaign)
        self._streams.add(stream)
        self.watched.set()
        self.refresh.set()
        try:
            yield stream
        finally:
            self._streams.discard(stream)
            if not self._streams:
                self.watched.clear()

    @property
    def is_full(self) -> bool:
        """Whether no further page may be followed."""
        return self.is_closed or len(self._streams) >= STREAMS_MAX

    def get(self, campaign: UUID) -> KnownCampaign | None:
        """What is known of a campaign."""
        return self._known.get(campaign)

    def listed(self) -> list[KnownCampaign]:
        """The known campaigns of the list, in its order."""
        return [self._known[each] for _, each in self.groups or () if each in self._known]

    def close(self) -> None:
        """End all streams."""
        self.is_closed = True
        self._notify()

    # ---------------------------------------------------------------------------------------------------- the sources

    def watched_campaigns(self) -> set[UUID]:
        """The campaigns of open pages, and the wanted ones."""
        return {each.campaign for each in self._streams if each.campaign is not None} | self._wanted

    @property
    def is_list_watched(self) -> bool:
        """Whether a list is open."""
        return any(each.campaign is None for each in self._streams)

    def report(
        self,
        campaign: Campaign,
        progress: CampaignProgress,
        breakers: Sequence[KnownBreaker] = (),
        canary: Canary | None = None,
    ) -> KnownCampaign:
        """Postgres has reported a campaign. It is the newest state of its row, whatever the figures are."""
        self._wanted.discard(campaign.id)
        known = self._known.pop(campaign.id, None)
        is_new = known is None
        if known is None:
            known = KnownCampaign(campaign, progress)
        self._known[campaign.id] = known  # at the end: reported last
        before = _shown(known)
        known.campaign, known.eta, known.breakers, known.canary = campaign, progress.eta, tuple(breakers), canary
        if progress.as_of >= known.stats.as_of:
            known.stats = progress
        self._sample(known, progress)
        if is_new or before != _shown(known):
            self._changed(campaign.id, known)
        while len(self._known) > KNOWN_MAX:
            del self._known[next(iter(self._known))]
        return known

    def report_snapshots(self, snapshots: Iterable[CampaignStats]) -> None:
        """Kafka has reported snapshots. Postgres is read again for a campaign that is new or has another status."""
        for each in snapshots:
            known = self._known.get(each.campaign_id)
            if known is None:
                if len(self._wanted) < WANTED_MAX and self.is_list_watched:
                    self._wanted.add(each.campaign_id)
                    self.refresh.set()
                continue
            if each.as_of <= known.stats.as_of:
                continue
            status = _STATUS_BY_WORD.get(each.status)
            if status is None:  # a later version has written it
                continue
            known.stats = each
            if (status, each.campaign_name) != (known.campaign.status, known.campaign.name):
                known.campaign = replace(known.campaign, status=status, name=each.campaign_name)
                self.refresh.set()
            self._sample(known, each)
            self._changed(each.campaign_id, known)

    def forget(self, campaigns: Iterable[UUID]) -> None:
        """These drafts were deleted."""
        for each in campaigns:
            self._wanted.discard(each)
            if self._known.pop(each, None) is not None:
                self.refresh.set()

    def arrange(self, groups: Sequence[tuple[CampaignStatus, UUID]]) -> None:
        """The list has these campaigns in this order."""
        if tuple(groups) != self.groups:
            self.groups = tuple(groups)
            self._notify()

    def postgres_is_away(self, at: datetime) -> bool:
        """Postgres does not answer. Returns whether that is new: the first time counts."""
        is_new = self.state.postgres_away_since is None
        if is_new:
            self.set_state(postgres_away_since=at)
        return is_new

    def set_state(self, **changed: object) -> None:
        """Change the state of the sources."""
        state = replace(self.state, **changed)  # type: ignore[arg-type] # the fields of LiveState
        if state != self.state:
            self.state = state
            self._notify()

    def _sample(self, known: KnownCampaign, stats: CampaignStats) -> None:
        if known.samples and stats.as_of <= known.samples[-1][0]:
            return
        known.samples.append((stats.as_of, stats.handled))
        while len(known.samples) > 2 and known.samples[1][0] < stats.as_of - SPEED_WINDOW:
            known.samples.popleft()

    def _changed(self, campaign: UUID, known: KnownCampaign) -> None:
        known.fragments.clear()
        for stream in self._streams:
            stream.notice(campaign)

    def _notify(self) -> None:
        for stream in self._streams:
            stream.notice()


def _shown(known: KnownCampaign) -> tuple[object, ...]:
    """What a change of makes the parts of pages stale."""
    stats = _counts(known.stats)
    return known.campaign, known.eta, known.breakers, known.canary, stats, speed(known.samples)


def speed(samples: Sequence[Sample]) -> float | None:
    """Recipients handled per second over the samples; None before a second has passed."""
    if len(samples) < 2:
        return None
    (began, first), (ended, last) = samples[0], samples[-1]
    seconds = (ended - began).total_seconds()
    return max(0, last - first) / seconds if seconds >= 1 else None


def _counts(stats: CampaignStats) -> dict[str, object]:
    return stats.model_dump(include=set(CampaignStats.model_fields) - {"as_of", "producer", "version"})
