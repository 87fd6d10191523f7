"""Decides whether the message of a person is an opt-out, an opt-in, or neither. Pure.

The whole message must be one of the words, written in any way that people and phones write it: "please don't stop" is
no opt-out. Laws (held by Hypothesis):

- a word is found in any case, with or without accents, in full-width letters, between punctuation, emoji and white
  space, and with invisible characters inside it,
- words of politeness around a stop word do not count: "stop bitte" and "please unsubscribe, thanks" are opt-outs,
- a message with another word beside it is neither an opt-out nor an opt-in,
- a text that is both is an opt-out, because an unwanted message is worse than a missed one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from schemas.subscriptions import SubscriptionKind

from domain.stop_words import COURTESIES, START_WORDS, STOP_WORDS
from domain.written_numbers import INVISIBLE

DEFAULT = "default"
"""In a setting this word stands for all words of the table."""
MESSAGE_CHARACTERS_MAX = 200
"""A longer message is no word. Invisible characters count."""
WORD_CHARACTERS_MAX = 60
"""Most characters of a configured word."""

_PLAIN = str.maketrans({"ı": "i", "đ": "d", "ł": "l", "ø": "o"})
"""Letters that Unicode does not divide into a letter and a mark, and that people write without it."""
_MARKS = frozenset(
    {*range(0x0300, 0x0370), *range(0x0591, 0x05C8), 0x0640, *range(0x064B, 0x0660), 0x0670, 0x20E3}
)  # fmt: skip
"""Marks without which people write the same word: accents, the vowels of Hebrew and Arabic, the line that lengthens an
Arabic word, the frame of a key. The vowels of the Indic scripts and of Thai are not among them."""


def normalised(text: str) -> str:
    """The words of a text in one spelling, separated by one space; empty if there is none."""
    kept: list[str] = []
    for character in _folded(text):
        category = unicodedata.category(character)
        if character in INVISIBLE or category == "Cf" or ord(character) in _MARKS:
            continue
        kept.append(" " if category[0] in "PSZC" else character)
    return " ".join("".join(kept).split())


def _folded(text: str) -> str:
    """Letters without case and width, and their marks apart (Unicode's compatibility caseless matching, D146)."""
    once = unicodedata.normalize("NFKD", unicodedata.normalize("NFD", text).casefold()).translate(_PLAIN)
    return unicodedata.normalize("NFKD", once.casefold())


@dataclass(frozen=True, slots=True)
class Keywords:
    """The normalised words of this installation."""

    stop: frozenset[str]
    start: frozenset[str]

    @classmethod
    def of(cls, stop: Sequence[str] = (DEFAULT,), start: Sequence[str] = (DEFAULT,)) -> Self:
        """The words of two settings. `default` among them stands for the words of the table.

        Raises ValueError for a word that has no letter or digit, that is too long, or that is in both. The message
        does not contain the word.
        """
        found = cls(_words(stop, STOP_WORDS), _words(start, START_WORDS))
        if found.stop & found.start:
            raise ValueError("a word is both a stop word and a start word")
        return found

    def meaning(self, texts: Iterable[str]) -> SubscriptionKind | None:
        """What a message means whose whole text, or whole button, is one of these texts. None: neither."""
        written = [_unrepeated(normalised(text)) for text in texts if len(text) <= MESSAGE_CHARACTERS_MAX]
        if any(word in self.stop or _unrepeated(_plain(word)) in self.stop for word in written):
            return SubscriptionKind.OPTED_OUT
        if any(word in self.start for word in written):
            return SubscriptionKind.OPTED_IN
        return None


def _words(given: Sequence[str], table: dict[str, tuple[str, ...]]) -> frozenset[str]:
    found: set[str] = set()
    for word in given:
        if word == DEFAULT:
            found.update(normalised(each) for words in table.values() for each in words)
            continue
        if len(word) > WORD_CHARACTERS_MAX:
            raise ValueError(f"a word has more than {WORD_CHARACTERS_MAX} characters")
        if not (plain := normalised(word)):
            raise ValueError("a word has no letter and no digit")
        found.add(plain)
    return frozenset(found)


_COURTESIES = frozenset(tuple(normalised(each).split(" ")) for each in COURTESIES)
_COURTESY_WORDS_MAX = max(map(len, _COURTESIES))


def _plain(words: str) -> str:
    """The words without those of politeness at the beginning and at the end.

    Only stop words are looked up in it: "ok, resume" may answer another question, and an opt-in must be certain.
    """
    parts = words.split(" ")
    while found := _courtesy(parts):
        parts = found
    return " ".join(parts)


def _courtesy(parts: list[str]) -> list[str] | None:
    """The parts without one courtesy at an end. None: there is none."""
    for size in range(1, min(_COURTESY_WORDS_MAX, len(parts) - 1) + 1):
        if tuple(parts[:size]) in _COURTESIES:
            return parts[size:]
        if tuple(parts[-size:]) in _COURTESIES:
            return parts[:-size]
    return None


def _unrepeated(words: str) -> str:
    """`stop stop stop` is `stop`: the shortest part that the whole text repeats."""
    parts = words.split(" ")
    for size in range(1, len(parts) // 2 + 1):
        if len(parts) % size == 0 and parts == parts[:size] * (len(parts) // size):
            return " ".join(parts[:size])
    return words
