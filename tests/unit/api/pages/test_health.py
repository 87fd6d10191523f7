"""One sentence says whether everything works, and names the cause that explains the rest."""

from dataclasses import replace
from datetime import UTC, datetime

from api.pages.board import LiveState
from api.pages.health import health_view
from domain.portfolio import PortfolioUse

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)


def test_the_worst_comes_first() -> None:
    everything = LiveState(kafka_away_since=AT, postgres_away_since=AT, missing=("sender",), is_known=True)
    assert health_view(everything).text.startswith("Postgres does not answer")
    assert health_view(everything).since == AT
    assert health_view(LiveState(kafka_away_since=AT, missing=("sender",))).text.startswith("Kafka does not answer")
    assert health_view(LiveState(missing=("sender", "sink"), is_known=True)).text == "Not running: sender, sink"


def test_all_is_well_only_after_a_check() -> None:
    assert health_view(LiveState()).text == "Checking the systems"
    assert health_view(LiveState(is_known=True)).text == "All systems work"


def test_the_budget_of_the_portfolio_is_shown_when_all_works() -> None:
    used = PortfolioUse(2000, None, None, 2000, AT)
    shown = health_view(LiveState(people=used, is_known=True))
    assert ("2,000 of 2,000 people" in shown.text, shown.since) == (True, AT)
    half = health_view(LiveState(people=replace(used, used=1000), is_known=True))
    assert (half.text, half.meaning) == (
        "All systems work",
        "The portfolio has sent to 1,000 of 2,000 people in 24 hours.",
    )
    none = health_view(LiveState(people=replace(used, people_max=None), is_known=True))
    assert (none.text, none.meaning) == ("All systems work", "")
