"""One sentence says whether everything works, and names the cause that explains the rest."""

from datetime import UTC, datetime

from api.pages.board import LiveState
from api.pages.health import health_view

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
