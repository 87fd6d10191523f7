"""Reads the card of rates of the settings, or the example that is shipped. A wrong card never stops sending."""

from __future__ import annotations

from pathlib import Path

from domain.rate_card import InvalidRateCard, RateCard, read_rate_card
from runtime.settings import Settings

EXAMPLE = Path(__file__).with_name("rate_card.csv")
BYTES_MAX = 1_000_000


class RateCardUnreadable(Exception):
    """The card cannot be read. The text is a sentence with the reason."""


def load_rate_card(settings: Settings) -> RateCard:
    """The card of the settings, or the example. Raises RateCardUnreadable."""
    path = Path(settings.rate_card) if settings.rate_card else EXAMPLE
    try:
        with path.open("rb") as file:
            content = file.read(BYTES_MAX + 1)
        if len(content) > BYTES_MAX:
            raise RateCardUnreadable(f"The rate card has more than {BYTES_MAX:,} bytes.")
        return read_rate_card(content.decode("utf-8-sig"))
    except OSError as error:
        raise RateCardUnreadable(f"The rate card of CAMPAIGNS_RATE_CARD cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise RateCardUnreadable("The rate card is no UTF-8 text.") from None
    except InvalidRateCard as error:
        raise RateCardUnreadable(f"The rate card is wrong: {error}.") from None
