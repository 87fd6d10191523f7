"""The progress of campaigns in words, for `list`, `show`, `stats`, `watch` and `status`. Pure."""

from __future__ import annotations

from domain.stats import percentage
from schemas.stats import CampaignProgress, CampaignStats


def progress_text(stats: CampaignStats) -> str:
    """How many recipients are handled, and how many of those failed: `120 of 5,000 handled (2.4 %), 3 failed`."""
    done = stats.handled
    share = percentage(done, stats.total_target)
    failed = f"{stats.failed:,} failed"
    if stats.failed:
        failed += f" ({percentage(stats.failed, done)} %)"
    return f"{done:,} of {stats.total_target:,} handled ({share} %), {failed}"


def end_text(progress: CampaignProgress) -> str:
    """The estimated end, to be added to a text: `, done about 2026-11-26 09:30Z`; empty without an estimate."""
    return "" if progress.eta is None else f", done about {progress.eta:%Y-%m-%d %H:%M}Z"


def most_frequent_failure(stats: CampaignStats) -> str | None:
    """The code of the most frequent failure, or None without one."""
    return max(stats.failures, key=lambda code: (stats.failures[code], code), default=None)
