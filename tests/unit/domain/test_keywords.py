"""Stop words and start words: found in every spelling of the whole message, and in no other message."""

from __future__ import annotations

import unicodedata
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.keywords import DEFAULT, MESSAGE_CHARACTERS_MAX, Keywords, normalised
from domain.stop_words import COURTESIES, START_WORDS, STOP_WORDS
from schemas.subscriptions import SubscriptionKind

KEYWORDS = Keywords.of()
OUT, IN = SubscriptionKind.OPTED_OUT, SubscriptionKind.OPTED_IN
LISTED = [(word, OUT) for words in STOP_WORDS.values() for word in words] + [
    (word, IN) for words in START_WORDS.values() for word in words
]
NOISE = st.text(
    st.sampled_from(" \n\t.,!?*_-'\"()\u00a0\u200b\u200e\u2060\ufeff\u00ad\ufe0f\u26d4\U0001f64f\U0001f3fd")
)
INVISIBLE = st.sampled_from("\u200b\u200d\u200e\u2060\ufeff\u00ad\u034f\ufe0f\u3164")
FORMS: list[Literal["NFC", "NFD", "NFKC", "NFKD"]] = ["NFC", "NFD", "NFKC", "NFKD"]
FULL_WIDTH = {code: code + 0xFEE0 for code in range(ord("!"), ord("~") + 1)}


@given(st.sampled_from(LISTED), NOISE, NOISE)
def test_punctuation_emoji_and_white_space_around_a_word_do_not_count(
    listed: tuple[str, SubscriptionKind], before: str, after: str
) -> None:
    word, meaning = listed
    assert KEYWORDS.meaning([before + word + after]) is meaning


@given(st.sampled_from(LISTED), st.data())
def test_a_word_is_found_in_every_form(listed: tuple[str, SubscriptionKind], data: st.DataObject) -> None:
    word, meaning = listed
    at = data.draw(st.integers(0, len(word)))
    form = data.draw(st.sampled_from(FORMS))
    forms = [
        word.upper(),
        word.title(),
        word.translate(FULL_WIDTH),
        word[:at] + data.draw(INVISIBLE) + word[at:],
        word.replace(" ", "_"),
        f"{word}\n{word}",
    ]
    for written in forms:
        assert KEYWORDS.meaning([unicodedata.normalize(form, written)]) is meaning, written


@given(st.sampled_from(LISTED), st.sampled_from(["do not", "don't", "nicht", "hello", "1", "愛", "ab"]), st.booleans())
def test_another_word_beside_it_takes_the_meaning(
    listed: tuple[str, SubscriptionKind], other: str, is_before: bool
) -> None:
    word, _ = listed
    assert KEYWORDS.meaning([f"{other} {word}" if is_before else f"{word} {other}"]) is None


@given(
    st.sampled_from([word for word, meaning in LISTED if meaning is OUT]),
    st.lists(st.sampled_from(COURTESIES), max_size=2),
    st.lists(st.sampled_from(COURTESIES), max_size=2),
)
def test_politeness_around_a_stop_word_does_not_count(word: str, before: list[str], after: list[str]) -> None:
    assert KEYWORDS.meaning([" ".join([*before, word, *after])]) is OUT


@pytest.mark.parametrize("text", ["please", "thank you please", "ok, resume", "please start", "thanks, I stop by"])
def test_politeness_alone_or_around_another_word_means_nothing(text: str) -> None:
    assert KEYWORDS.meaning([text]) is None


@pytest.mark.parametrize(
    "text",
    ["please don't stop", "Don’t stop!", "stopping by", "bus stop", "nonstop", "I want to cancel my order", "bajar", "",
     " ", "...", "\u200b", "s t o p", "stop start", "start stop", "stop " * 60],
)  # fmt: skip
def test_another_message_means_nothing(text: str) -> None:
    assert KEYWORDS.meaning([text]) is None


@pytest.mark.parametrize(
    "text",
    ["STOP", "Stop.", "*STOP*", "¡STOP!", "«Stop»", "stop 🙏🏽", "ＳＴＯＰ", "s\u200bt\u00adop", "Ｓ\u200bTOP", "ARRET",
     "Arrêt", "arre\u0302t", "IPTAL", "İPTAL", "ıptal", "STOP_PROMO", "Stop promotions", "STOP STOP STOP",
     "UNSUBSCRIBE", "hủy", "إِيقَافٌ", "Ⓢⓣⓞⓟ", "huy dang ky"],
)  # fmt: skip
def test_an_opt_out_is_found_as_people_write_it(text: str) -> None:
    assert KEYWORDS.meaning([text]) is OUT


def test_a_button_counts_by_its_payload_or_its_text_and_an_opt_out_wins() -> None:
    assert KEYWORDS.meaning(["campaign-17-b", "Stop promotions"]) is OUT
    assert KEYWORDS.meaning(["STOP_PROMO", "No, thanks"]) is OUT
    assert KEYWORDS.meaning(["start", "stop"]) is OUT
    assert KEYWORDS.meaning(["start", "Yes"]) is IN
    assert KEYWORDS.meaning([]) is None


@given(st.text())
@example("\u0345\u1fb3")
@example("\ufdfa\u00a8\u0130\u1e9e")
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalised(text)
    assert normalised(once) == once
    assert normalised(unicodedata.normalize("NFC", text)) == normalised(unicodedata.normalize("NFD", text))


@given(st.text(min_size=MESSAGE_CHARACTERS_MAX + 1, max_size=MESSAGE_CHARACTERS_MAX + 50))
def test_a_long_message_means_nothing(text: str) -> None:
    assert KEYWORDS.meaning([text]) is None


def test_the_words_of_a_setting_replace_the_table_or_add_to_it() -> None:
    own = Keywords.of(("Leave me alone",), ("Come back",))
    assert own.meaning(["leave  me ALONE!"]) is OUT
    assert own.meaning(["come back"]) is IN
    assert own.meaning(["stop"]) is None
    more = Keywords.of((DEFAULT, "Leave me alone"))
    assert [more.meaning([text]) for text in ("leave me alone", "stop", "start")] == [OUT, OUT, IN]


@pytest.mark.parametrize(
    ("stop", "start"), [(("...",), ("start",)), (("x" * 61,), ("start",)), (("Enough",), ("start", "ENOUGH"))]
)
def test_words_that_cannot_work_are_refused_and_not_shown(stop: tuple[str, ...], start: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="a word ") as refused:
        Keywords.of(stop, start)
    assert not any(word in str(refused.value) for word in (*stop, *start) if word != "start")
