"""Callback data is decoded to the same ids, and foreign data is refused."""

import hashlib
import hmac
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.callback import Callback, CallbackTexts, NotOurs, _Keyed, decode, decode_texts, encode
from schemas.model import ATTEMPT_MAX, CampaignId, RecipientId

SECRET = b"secret"
CAMPAIGN, RECIPIENT = CampaignId(uuid.UUID(int=1)), RecipientId(uuid.UUID(int=2**128 - 1))


def text(secret: bytes = SECRET, deployment: str = "default", attempt: int = 7) -> str:
    return encode(secret, deployment, CAMPAIGN, RECIPIENT, attempt)


def test_callback_data_is_decoded_to_the_same_values() -> None:
    assert decode(SECRET, "default", text()) == Callback(CAMPAIGN, RECIPIENT, 7)


def test_the_longest_is_short_ascii_and_without_the_ids_in_plain() -> None:
    longest = encode(SECRET, "d" * 16, CAMPAIGN, RECIPIENT, ATTEMPT_MAX)
    assert len(longest) < 128
    assert longest.isascii()
    assert str(CAMPAIGN) not in longest


FOREIGN = [
    (text(deployment="staging"), "foreign_deployment"),
    (text(secret=b"other"), "foreign_signature"),
    (text().replace(".7.", ".8."), "foreign_signature"),
    (text()[:-1], "foreign_signature"),
    (text()[:-1] + ("A" if text()[-1] != "A" else "B"), "foreign_signature"),
    ("", "foreign_format"),
    ("order-4711", "foreign_format"),
    ("2" + text()[1:], "foreign_format"),
    (text() + "é", "foreign_format"),
    ("1." + "x" * 200, "foreign_format"),
    ("1.default.a.b.c.d", "foreign_signature"),
]


@pytest.mark.parametrize(("given", "reason"), FOREIGN)
def test_foreign_data_is_refused_with_a_reason(given: str, reason: str) -> None:
    assert decode(SECRET, "default", given) == NotOurs(reason)


@pytest.mark.parametrize("attempt", [1, 10, ATTEMPT_MAX])
def test_the_short_reading_gives_what_the_reading_gives_or_nothing(attempt: int) -> None:
    given = text(attempt=attempt)
    found = decode(SECRET, "default", given)
    assert isinstance(found, Callback)
    ids = str(found.campaign_id), str(found.recipient_id)
    assert decode_texts(SECRET, "default", given) == CallbackTexts(*ids, found.attempt)
    for foreign in (
        *(each for each, _ in FOREIGN),
        given + "\n",
        given.replace(f".{attempt}.", f".0{attempt}."),
        None,
        7,
    ):
        assert decode_texts(SECRET, "default", foreign) is None


@pytest.mark.parametrize("attempt", [0, ATTEMPT_MAX + 1])
def test_an_attempt_outside_its_range_is_refused(attempt: int) -> None:
    with pytest.raises(ValueError, match="attempt"):
        text(attempt=attempt)


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_a_keyed_hash_is_the_hmac(key: bytes, message: bytes) -> None:
    assert _Keyed(key).digest(message) == hmac.digest(key, message, hashlib.sha256)
