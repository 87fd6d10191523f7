"""The card of rates: the shipped example is valid, and each way in which a card of the settings cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from runtime.rate_card import BYTES_MAX, RateCardUnreadable, load_rate_card
from runtime.settings import Settings


def of(path: Path | None) -> Settings:
    return Settings(
        kafka_bootstrap_servers="k:1",
        database_url=SecretStr("postgresql://p/d"),
        rate_card="" if path is None else str(path),
    )


def test_the_shipped_example_has_a_date_and_a_source() -> None:
    card = load_rate_card(of(None))
    assert (card.currency, bool(card.source), len(card.markets) > 20) == ("EUR", True, True)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot be read: No such file"),
        (b"\xff\xfe", "no UTF-8 text"),
        (b"market", "The rate card is wrong: the card needs"),
        (b"x" * (BYTES_MAX + 1), "more than 1,000,000 bytes"),
    ],
)
def test_a_card_that_cannot_be_read_states_why(tmp_path: Path, content: bytes | None, problem: str) -> None:
    path = tmp_path / "card.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RateCardUnreadable, match=problem):
        load_rate_card(of(path))
