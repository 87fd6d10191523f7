"""Renders a campaign and its progress as text, for `show`, `stats` and `watch`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime

from domain.lifecycle import ACTIONS, CampaignStatus
from domain.windows import ALL_DAY, WEEK, WindowZone
from operations.campaign_progress import end_text, progress_text
from schemas.stats import CampaignProgress, CampaignStats
from tables.campaign_names import short_id
from tables.campaigns import Campaign, NewCampaign

_HEADED = frozenset({
    "name", "status", "pause_reason", "window_days", "window_from", "window_to", "window_zone", "quiet_from", "quiet_to"
})  # fmt: skip
"""They are in the first line, or in the line of the window."""
_REASONS_MAX = 10


def campaign_lines(campaign: Campaign, progress: CampaignProgress) -> Iterator[str]:
    """The campaign: its values, its progress, and the possible commands."""
    why = f": {campaign.pause_reason}" if campaign.pause_reason else ""
    yield f"{campaign.name}  ({campaign.status}{why})"
    for each in fields(campaign):
        value = getattr(campaign, each.name)
        if each.name not in _HEADED and value is not None:
            yield f"  {each.name.replace('_', ' '):<22} {_text(value)}"
    yield f"  {'sends':<22} {window_text(campaign)}"
    yield f"  {'progress':<22} {progress_text(progress)}{end_text(progress)}"
    possible = [action.value for action, (states, _) in ACTIONS.items() if campaign.status in states]
    drafts_only = ["delete"] if campaign.status is CampaignStatus.DRAFT else []
    commands = [f"campaigns {each} {short_id(campaign.id)}" for each in [*possible, "edit", "clone", *drafts_only]]
    yield f"  {'possible':<22} {', '.join(commands)}"


def window_text(campaign: Campaign | NewCampaign) -> str:
    """When the campaign sends."""
    days = "every day" if len(campaign.window_days) == len(WEEK) else " ".join(campaign.window_days)
    hours = "at any time" if _is_whole_day(campaign) else f"from {campaign.window_from} to {campaign.window_to}"
    quiet = f", not from {campaign.quiet_from} to {campaign.quiet_to}" if campaign.quiet_from else ""
    follows = campaign.window_zone == WindowZone.RECIPIENT
    zone = "the recipient's country" if follows else campaign.time_zone
    return f"{days} {hours}{quiet}, by the clocks of {zone}"


def _is_whole_day(campaign: Campaign | NewCampaign) -> bool:
    return (campaign.window_from, campaign.window_to) == ALL_DAY


def stats_lines(progress: CampaignProgress) -> Iterator[str]:
    """The funnel, and the reasons of failures and skips."""
    yield f"{progress.campaign_name}  ({progress.status})  {progress_text(progress)}{end_text(progress)}"
    for name in ("total_target", "pending", "queued", "sent", "delivered", "read", "replied", "failed", "retrying",
                 "skipped", "unknown"):  # fmt: skip
        yield f"  {name.replace('_', ' '):<20} {getattr(progress, name):>9,}"
    yield f"  {'delivery rate':<20} {progress.delivery_rate:>9} %"
    yield f"  {'read rate':<20} {progress.read_rate:>9} %"
    for title, counts in (("failed", progress.failures), ("skipped", progress.skips)):
        ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        yield from (f"  {f'{title}: {reason}':<20} {n:>9,}" for reason, n in ranked[:_REASONS_MAX])
        if len(ranked) > _REASONS_MAX:
            yield f"  {title}: {len(ranked) - _REASONS_MAX} more reasons (--json shows them)"


def watch_line(progress: CampaignProgress, per_s: float | None) -> str:
    """The progress on one line. `per_s`: recipients handled per second, if it is known."""
    speed = "" if per_s is None else f", {per_s:,.1f}/s"
    return (
        f"{progress.as_of:%H:%M:%S}Z  {progress.status}: {progress_text(progress)}{speed}{end_text(progress)}; "
        f"sent {progress.sent:,}, delivered {progress.delivered:,}, read {progress.read:,}, "
        f"unknown {progress.unknown:,}"
    )


def handled_per_second(before: CampaignStats, now: CampaignStats) -> float | None:
    """Recipients handled per second between two snapshots, or None without time between them."""
    seconds = (now.as_of - before.as_of).total_seconds()
    return max(0, now.handled - before.handled) / seconds if seconds > 0 else None


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return f"{value:%Y-%m-%d %H:%M:%S}Z" if isinstance(value, datetime) else str(value)
