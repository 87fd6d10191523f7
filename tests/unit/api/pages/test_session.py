"""A session is accepted only as it was issued, and only until it expires."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from api.pages.session import LIFETIME_S, PageSession, issue, read

KEYS = (b"the-first-key", b"the-second-key")
NOW_S = 1_800_000_000


def test_each_key_begins_sessions_and_none_is_in_the_cookie() -> None:
    for key in KEYS:
        cookie = issue(key, "0f", NOW_S)
        assert read(cookie, KEYS, NOW_S) == PageSession(key, "0f")
        assert key.decode() not in cookie


def test_a_session_ends_with_its_time_and_with_its_key() -> None:
    cookie = issue(KEYS[0], "0f", NOW_S)
    assert read(cookie, KEYS, NOW_S + LIFETIME_S - 1) is not None
    assert read(cookie, KEYS, NOW_S + LIFETIME_S) is None
    assert read(cookie, KEYS[1:], NOW_S) is None
    assert read(cookie, (), NOW_S) is None


@given(st.data())
def test_a_changed_cookie_is_no_session(data: st.DataObject) -> None:
    cookie = issue(KEYS[0], "0f", NOW_S)
    place = data.draw(st.integers(0, len(cookie) - 1))
    other = data.draw(st.characters(exclude_characters=cookie[place]))
    assert read(cookie[:place] + other + cookie[place + 1 :], KEYS, NOW_S) is None


@given(st.text(max_size=300))
def test_any_other_text_is_no_session(text: str) -> None:
    assert read(text, KEYS, NOW_S) is None


def test_a_form_belongs_to_its_session() -> None:
    session = PageSession(KEYS[0], "0f")
    assert session.accepts(session.form_token)
    for other in (PageSession(KEYS[0], "10"), PageSession(KEYS[1], "0f")):
        assert not session.accepts(other.form_token)
    assert not session.accepts("")
    assert not session.accepts("é\ud800")
    signature = issue(KEYS[0], "0f", NOW_S).rpartition(".")[2]
    assert not session.accepts(signature), "the cookie does not give the token"


def test_nothing_secret_is_shown() -> None:
    assert "first" not in repr(PageSession(KEYS[0], "0f"))
