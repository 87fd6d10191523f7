"""Whether everything works, in one sentence for people. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from api.pages.board import LiveState
from domain.portfolio import portfolio_text


@dataclass(frozen=True, slots=True)
class HealthView:
    """One line at the top of the page."""

    tone: str
    icon: str
    text: str
    since: datetime | None = None
    """Since when; it stands after the text."""
    meaning: str = ""


def health_view(state: LiveState) -> HealthView:
    """The worst of what is known, because it explains the rest."""
    if state.postgres_away_since is not None:
        return HealthView(
            "bad", "plug", "Postgres does not answer: these figures are not live since", state.postgres_away_since,
            "They are the last known ones. The page tries again by itself. Nothing new is sent meanwhile.",
        )  # fmt: skip
    if state.kafka_away_since is not None:
        return HealthView(
            "warn", "plug", "Kafka does not answer since", state.kafka_away_since,
            "The figures come from Postgres. Messages wait until Kafka answers.",
        )  # fmt: skip
    if state.missing:
        return HealthView("warn", "warn", f"Not running: {', '.join(state.missing)}", None, "Messages wait for it.")
    if not state.is_known:
        return HealthView("quiet", "search", "Checking the systems")
    shown = None if state.people is None else portfolio_text(state.people)
    if shown is None or state.people is None:
        return HealthView("good", "check", "All systems work")
    if state.people.left == 0 and state.people.free_at is not None:
        text = f"All systems work. The portfolio's budget is used ({shown}); more people get messages from"
        return HealthView("warn", "info", text, state.people.free_at)
    return HealthView("good", "check", "All systems work", None, f"The portfolio has sent to {shown}.")
