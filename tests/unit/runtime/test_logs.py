"""A foreign text, such as an error of a library, shows no secret and no phone number."""

from __future__ import annotations

import pytest

from runtime.logs import mask_text

SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    "text",
    [
        f"cannot parse postgresql+psycopg://user:{SECRET}@host/db",
        f"host=h password={SECRET} dbname=d",
        f"host=h password = '{SECRET} x'",
        f"sasl.password={SECRET};x=1",
        f'{{"access_token": "{SECRET}"}}',
        f"Authorization: Bearer {SECRET}",
        f"https://graph.facebook.com/me?access_token={SECRET}&x=1",
    ],
)
def test_a_secret_in_a_foreign_text_is_masked(text: str) -> None:
    assert SECRET not in mask_text(text)
    assert "…" in mask_text(text)


@pytest.mark.parametrize(
    "text",
    [
        'password authentication failed for user "campaigns"',
        "CAMPAIGNS_KAFKA_PASSWORD: is not set, but CAMPAIGNS_KAFKA_USER is",
        "connection to server at 127.0.0.1, port 5432 failed: Connection refused",
        "http://127.0.0.1:8000/ready",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert mask_text(text) == text
