"""From counters to the funnel and the rates of a campaign. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from schemas.model import CampaignId
from schemas.reasons import SkipReason
from schemas.stats import CampaignStats

KEYS_MAX = 100
"""Most codes of failures, and most reasons of skips, in one snapshot: it stays far below the size of a record."""
OTHER = "other"
"""The key that sums the rarer codes beyond `KEYS_MAX`."""


FAILS_MIN = 20
"""From so many failed recipients on, a campaign in which everything fails is a problem and not chance."""


def percentage(part: int, whole: int) -> float:
    """Per cent with one decimal, a half rounded up; 0.0 for an empty denominator."""
    if whole <= 0:
        return 0.0
    return (2000 * part + whole) // (2 * whole) / 10


def campaign_stats(
    campaign_id: CampaignId,
    name: str,
    status: str,
    counters: Mapping[str, int],
    *,
    version: int,
    as_of: datetime,
    producer: str = "",
) -> CampaignStats:
    """The snapshot of these counters. They are keyed ``dimension/key``, and a missing one is 0."""

    def count(key: str) -> int:
        return counters.get(key, 0)

    total, pending, queued = count("funnel/total"), count("status/pending"), count("status/queued")
    handled = total - pending - queued - count(f"skip/{SkipReason.CAMPAIGN_CANCELLED}")
    sent, delivered, read = count("funnel/sent"), count("funnel/delivered"), count("funnel/read")
    return CampaignStats(
        producer=producer,
        campaign_id=campaign_id,
        campaign_name=name,
        status=status,
        total_target=total,
        sent=sent,
        delivered=delivered,
        read=read,
        failed=count("status/failed"),
        pending=pending,
        handled=handled,
        progress_percentage=percentage(handled, total),
        delivery_rate=percentage(delivered, sent),
        read_rate=percentage(read, sent),
        queued=queued,
        skipped=count("status/skipped"),
        unknown=count("status/unknown"),
        retrying=count("funnel/retrying"),
        replied=count("funnel/replied"),
        failures=_under("failure/", counters),
        skips=_under("skip/", counters),
        version=version,
        as_of=as_of,
    )


def _under(prefix: str, counters: Mapping[str, int]) -> dict[str, int]:
    """The counters of a dimension by key; of more than `KEYS_MAX`, the most frequent ones and the sum of the others."""
    found = {key.removeprefix(prefix): n for key, n in counters.items() if key.startswith(prefix)}
    if len(found) > KEYS_MAX:
        ranked = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))
        found = dict(ranked[: KEYS_MAX - 1])
        found[OTHER] = found.get(OTHER, 0) + sum(n for _, n in ranked[KEYS_MAX - 1 :])
    return dict(sorted(found.items()))


def everything_fails(stats: CampaignStats) -> bool:
    """Whether every handled recipient failed, and there are enough of them to be sure."""
    return stats.failed >= FAILS_MIN and stats.sent == 0 and stats.failed >= stats.handled - stats.skipped
