"""Sending numbers of the settings: what is read, from where, and that no message shows a token."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runtime.sending_numbers import BYTES_MAX, TOKEN_BYTES_MAX, sending_numbers
from runtime.settings import InvalidSettings, read_settings
from runtime.settings_sources import effective_settings

TOKEN = "EAAtoken-of-one-number"
BASE = {"CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": "k:1", "CAMPAIGNS_DATABASE_URL": "postgresql://p/d"}


def test_numbers_have_a_pace_and_a_token_of_their_own_or_none(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    given = [
        {"phone_number_id": "1", "mps": 1000, "access_token": "abc"},
        {"phone_number_id": "2", "access_token_file": str(tmp_path / "token")},
        {"phone_number_id": "3"},
    ]
    for text in (json.dumps(given), str(tmp_path / "numbers.json")):
        (tmp_path / "numbers.json").write_text(json.dumps(given))
        found = sending_numbers(text)
        assert [(each.phone_number_id, each.mps) for each in found] == [("1", 1000), ("2", None), ("3", None)]
        secrets = [each.access_token and each.access_token.get_secret_value() for each in found]
        assert secrets == ["abc", TOKEN, None]
        assert TOKEN not in repr(found)


def test_the_settings_give_each_number_what_is_its_own() -> None:
    text = json.dumps([{"phone_number_id": "1", "mps": 250, "access_token": TOKEN}, {"phone_number_id": "2"}])
    variables = {**BASE, "CAMPAIGNS_WHATSAPP_NUMBERS": text, "CAMPAIGNS_WHATSAPP_PHONE_NUMBER_ID": "9"}
    settings = read_settings(variables, Path("none"))
    assert settings.known_numbers == {"1", "2", "9"}
    assert settings.mps_by_number() == {"1": 250}
    assert list(settings.tokens_by_number()) == ["1"]
    shown = {each.variable: each.value for each in effective_settings(settings, variables, Path("none"))}
    assert shown["CAMPAIGNS_WHATSAPP_NUMBERS"] == ["1 at 250/s with token ********", "2"]
    assert TOKEN not in repr(settings)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nowhere.json", "cannot be read: No such file"),
        ("[", "no valid JSON"),
        ("{}", "must be a JSON list"),
        ("[1]", "number 1 must be an object"),
        ('[{"phone_number_id": "1", "token": "secret-1"}]', "unknown name 'token'"),
        ('[{"phone_number_id": 1}]', "needs a phone_number_id"),
        ('[{"phone_number_id": "+1"}]', "needs a phone_number_id"),
        ('[{"mps": 80}]', "needs a phone_number_id"),
        ('[{"phone_number_id": "1", "mps": 0}]', "needs an mps"),
        ('[{"phone_number_id": "1", "mps": true}]', "needs an mps"),
        ('[{"phone_number_id": "1"}, {"phone_number_id": "1"}]', "has the number 1 twice"),
        ('[{"phone_number_id": "1", "access_token": ""}]', "not empty"),
        ('[{"phone_number_id": "1", "access_token": 5}]', "not empty"),
        ('[{"phone_number_id": "1", "access_token": "secret-1 x"}]', "the access token of number 1 has a space"),
        ('[{"phone_number_id": "1", "access_token": "secret-1", "access_token_file": "x"}]', "remove one"),
        ('[{"phone_number_id": "1", "access_token_file": 5}]', "that is a path"),
        ('[{"phone_number_id": "1", "access_token_file": "nowhere"}]', "access_token_file of number 1 cannot be read"),
    ],
)
def test_a_wrong_value_is_named_and_never_shown(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        sending_numbers(text)
    assert "secret-1" not in str(caught.value)
    with pytest.raises(InvalidSettings, match="CAMPAIGNS_WHATSAPP_NUMBERS") as refused:
        read_settings({**BASE, "CAMPAIGNS_WHATSAPP_NUMBERS": text}, Path("none"))
    assert "secret-1" not in str(refused.value)


def test_files_have_limits(tmp_path: Path) -> None:
    (tmp_path / "numbers").write_bytes(b"[" + b" " * BYTES_MAX)
    with pytest.raises(ValueError, match="more than 1,000,000 bytes"):
        sending_numbers(str(tmp_path / "numbers"))
    (tmp_path / "numbers").write_bytes(b"\xff")
    with pytest.raises(ValueError, match="no UTF-8"):
        sending_numbers(str(tmp_path / "numbers"))
    (tmp_path / "token").write_bytes(b"x" * (TOKEN_BYTES_MAX + 1))
    one = json.dumps([{"phone_number_id": "1", "access_token_file": str(tmp_path / "token")}])
    with pytest.raises(ValueError, match="more than 8,192 bytes"):
        sending_numbers(one)


def test_a_real_token_of_a_number_needs_secrets_of_our_own() -> None:
    text = json.dumps([{"phone_number_id": "1", "access_token": "EA" + "x" * 60}])
    with pytest.raises(InvalidSettings, match="must be a secret of yours"):
        read_settings(
            {
                **BASE, "CAMPAIGNS_WHATSAPP_NUMBERS": text, "CAMPAIGNS_WHATSAPP_API_URL": "http://127.0.0.1:1",
                "CAMPAIGNS_CALLBACK_SECRET": "simulated-callback-secret",
            },
            Path("none"),
        )  # fmt: skip
