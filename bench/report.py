"""The report of a stage: a table for people, and one line of JSON for each peer."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Sequence

from bench.contest import CaseResult, PeerComparison, Run


def json_lines(stage: str, result: CaseResult) -> list[str]:
    """One line for each peer of the compared case. The fastest peer is last."""
    return [
        json.dumps(
            {
                "stage": stage,
                "peer": each.peer,
                "ratio_min": round(min(each.ratios), 3),
                "ratio_median": round(each.median, 3),
                "ratio_max": round(max(each.ratios), 3),
                "ours_right": round(each.ours_right, 4),
                "peer_right": round(each.peer_right, 4),
            }
        )
        for each in result.comparisons()
    ]


def table(result: CaseResult) -> list[str]:
    """A Markdown table of all contestants: medians over the rounds, and the ratio of ours to each peer."""
    compared = {each.peer: each for each in result.comparisons()}
    extra = list(dict.fromkeys(name for runs in result.runs.values() for run in runs for name in run.more))
    headings = ["", "items/s", "ours : it (min-max)", "CPU s per million", "MiB", "right", *extra]
    rows = [
        [name, *_figures(runs, compared.get(name)), *(_more(runs, column) for column in extra)]
        for name, runs in result.runs.items()
    ]
    return list(markdown(headings, rows))


def _figures(runs: Sequence[Run], compared: PeerComparison | None) -> list[str]:
    return [
        f"{statistics.median(run.rate for run in runs):,.0f}",
        f"**{compared.median:.2f}** ({min(compared.ratios):.2f}-{max(compared.ratios):.2f})" if compared else "",
        f"{statistics.median(run.cpu_s_per_million for run in runs):.1f}",
        f"{max(run.memory_mb for run in runs):.0f}",
        f"{min(run.right for run in runs):.0%}",
    ]


def _more(runs: Sequence[Run], column: str) -> str:
    values = [run.more[column] for run in runs if column in run.more]
    return f"{statistics.median(values):.1f}" if values else ""


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The lines of a Markdown table. All columns but the first hold numbers."""
    yield f"| {' | '.join(headings)} |"
    yield f"|---|{'---:|' * (len(headings) - 1)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def losses(results: Sequence[CaseResult]) -> list[str]:
    """A sentence for each figure in which ours is behind a peer: speed, CPU or memory."""
    found = []
    for result in results:
        ours = result.runs[result.ours]
        for each in result.comparisons():
            theirs = result.runs[each.peer]
            behind = []
            if each.median < 1:
                behind.append(f"has {each.median:.2f} of the speed")
            if (more := _ratio([run.cpu_s_per_million for run in ours], [run.cpu_s_per_million for run in theirs])) > 1:
                behind.append(f"uses {more:.1f} times the CPU")
            if (more := _ratio([run.memory_mb for run in ours], [run.memory_mb for run in theirs])) > 1:
                behind.append(f"uses {more:.1f} times the memory")
            if behind:
                found.append(f"{result.title}, against {each.peer}: the product {', and '.join(behind)}.")
    return found


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The ratio of two medians, rounded as it is shown. 0 if theirs was not measured."""
    return round(statistics.median(ours) / statistics.median(theirs), 1) if statistics.median(theirs) else 0.0
