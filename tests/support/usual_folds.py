"""Folds a whole batch of usual events at once, as the sink does in slices."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from domain.usual_fold import UsualFold, fold_more
from schemas.usual_events import UsualEvent


def fold_usual(
    events: Sequence[UsualEvent | None], latest: datetime, without: frozenset[str] = frozenset()
) -> UsualFold:
    """Fold the events of a batch. The arguments are those of `fold_more`."""
    result = UsualFold()
    fold_more(result, events, latest, without)
    return result
