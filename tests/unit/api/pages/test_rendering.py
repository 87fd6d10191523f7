"""Numbers, times and text as the page shows them."""

from datetime import UTC, datetime

import pytest

from api.pages.rendering import html, moment, number, page, percent, rate
from api.pages.session import PageSession


def test_large_numbers_have_separators() -> None:
    assert number(10_000_000) == "10,000,000"
    assert number(0) == "0"


@pytest.mark.parametrize(("value", "text"), [(0.0, "0 %"), (90.0, "90 %"), (69.1, "69.1 %"), (100.0, "100 %")])
def test_percentages_have_at_most_one_decimal(value: float, text: str) -> None:
    assert percent(value) == text


@pytest.mark.parametrize(("per_s", "text"), [(0.0, "0"), (0.25, "0.2"), (9.9, "9.9"), (78.4, "78"), (1234.5, "1,234")])
def test_a_slow_speed_has_a_decimal(per_s: float, text: str) -> None:
    assert rate(per_s) == text


def test_a_time_is_utc_until_the_script_knows_the_zone_of_the_reader() -> None:
    at = datetime(2026, 11, 26, 21, 14, 9, tzinfo=UTC)
    assert moment(at) == '<time datetime="2026-11-26T21:14:09Z" data-form="clock">2026-11-26 21:14 UTC</time>'
    assert "21:14:09 UTC" in moment(at, "second")


def test_text_of_users_is_escaped() -> None:
    shown = html("sign_in.html", session=None, form_token="", next_path='"><script>', refused="<b>", was_sent=False)
    assert "<script>" not in shown
    assert "&lt;b&gt;" in shown


def test_a_page_has_the_token_of_its_session() -> None:
    session = PageSession(b"a-key", "0f")
    shown = page("error.html", session=session, sentence="No.", code="x", refresh_s=None, is_read=False)
    assert session.form_token in bytes(shown.body).decode()
    assert "a-key" not in bytes(shown.body).decode()
    assert shown.headers["cache-control"] == "no-store"
