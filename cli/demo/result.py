"""What the demo ends with: the verdict and the figures around it, and the line of JSON that says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cli.demo.killing import Killing
from verdict.judge import Verdict


@dataclass(frozen=True)
class DemoResult:
    """All that is said in the end."""

    verdict: Verdict
    killing: Killing
    stats: Mapping[str, Any]
    """As the REST API says them."""
    failures: Mapping[str, int]
    """By code."""
    failure_texts: Mapping[str, str]
    statuses_said: int
    seconds: float
    """From the activation to rest."""
    rate: float
    """Posts a second that the simulator received."""
    seed: int
    restarts: Mapping[str, int]

    def as_json(self) -> dict[str, Any]:
        """The last line of `--json`; wrong rows are named by id only, never by number."""
        verdict = self.verdict
        funnel = {word: self.stats[word] for word in ("total_target", "sent", "delivered", "read", "failed")}
        return {
            "verdict": verdict.word,
            "recipients": self.stats["total_target"],
            "messages_sent": verdict.messages_accepted,
            "double_sends": verdict.double_sends,
            "rows_wrong": len(verdict.wrong_rows),
            "counters_wrong": len(verdict.wrong_counters),
            "statuses": self.statuses_said,
            "rate": round(self.rate, 1),
            "seconds": round(self.seconds, 1),
            "funnel": {**funnel, **{word: self.stats[word] for word in ("skipped", "unknown", "pending", "queued")}},
            "failures": dict(self.failures),
            "killed": {
                "process": self.killing.victim,
                "in_flight": self.killing.in_flight,
                "left": [asdict(left) for left in verdict.left_by_killed],
            },
            "waits_a_day": verdict.waits_a_day,
            "restarts": {name: count for name, count in self.restarts.items() if count},
            "trouble": list(verdict.trouble),
            "wrong": [asdict(wrong) for wrong in verdict.wrong_rows[:100]] + list(verdict.wrong_counters[:100]),
            "seed": self.seed,
        }


def rate_of(times: Sequence[float]) -> float:
    """Posts a second while most of them came: the last twentieth are retries, each after its backoff."""
    most = sorted(times)[: max(1, len(times) * 19 // 20)]
    span_s = most[-1] - most[0] if most else 0.0
    return len(most) / span_s if span_s > 0 else 0.0
