"""The result of the demo: the verdict, its figures, and the line of JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cli.demo.killing import Killing
from verdict.judge import Verdict


@dataclass(frozen=True)
class DemoResult:
    """The verdict and the figures of a run."""

    verdict: Verdict
    killing: Killing | None
    """None if no sender was killed."""
    stats: Mapping[str, Any]
    """The stats as the REST API returns them."""
    failures: Mapping[str, int]
    """Failed rows by code."""
    failure_texts: Mapping[str, str]
    statuses_sent: int
    seconds: float
    """Seconds from the activation to the end."""
    rate: float
    """Posts per second that the simulator received."""
    seed: int
    restarts: Mapping[str, int]

    def as_json(self) -> dict[str, Any]:
        """The last line of `--json`. It names incorrect rows by id, never by number."""
        verdict = self.verdict
        funnel = {word: self.stats[word] for word in ("total_target", "sent", "delivered", "read", "failed")}
        return {
            "verdict": verdict.word,
            "recipients": self.stats["total_target"],
            "messages_sent": verdict.messages_accepted,
            "double_sends": verdict.double_sends,
            "rows_wrong": len(verdict.wrong_rows),
            "counters_wrong": len(verdict.wrong_counters),
            "statuses": self.statuses_sent,
            "rate": round(self.rate, 1),
            "seconds": round(self.seconds, 1),
            "funnel": {**funnel, **{word: self.stats[word] for word in ("skipped", "unknown", "pending", "queued")}},
            "failures": dict(self.failures),
            "killed": self._killed(),
            "waits_a_day": verdict.waits_a_day,
            "restarts": {name: count for name, count in self.restarts.items() if count},
            "trouble": list(verdict.trouble),
            "wrong": [asdict(wrong) for wrong in verdict.wrong_rows[:100]] + list(verdict.wrong_counters[:100]),
            "seed": self.seed,
        }

    def _killed(self) -> dict[str, Any] | None:
        if self.killing is None:
            return None
        return {
            "process": self.killing.victim,
            "in_flight": self.killing.in_flight,
            "left": [asdict(left) for left in self.verdict.left_by_killed],
        }


def rate_of(times: Sequence[float]) -> float:
    """Posts per second, without the last twentieth, which are retries after their backoff."""
    most = sorted(times)[: max(1, len(times) * 19 // 20)]
    span_s = most[-1] - most[0] if most else 0.0
    return len(most) / span_s if span_s > 0 else 0.0
