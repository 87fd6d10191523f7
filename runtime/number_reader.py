"""Reads a sending number from the Cloud API. A read is a GET: it sends and changes nothing.

Source: Meta's page "Phone numbers" (fields) and "Throughput" (levels).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from runtime import cloud_answers
from runtime.cloud_answers import CloudFault, CloudUnreadable
from runtime.settings import Settings

FIELDS = "id,display_phone_number,quality_rating,throughput,status"
READ_TIMEOUT_S = 5.0
"""For the whole read."""
ANSWER_BYTES_MAX = 64 * 1024
WORD_CHARACTERS_MAX = 40


class NumberUnreadable(Exception):
    """The number cannot be read now. The text is a sentence with the reason. `fault` is None without a token."""

    def __init__(self, reason: str, fault: CloudFault | None = None) -> None:
        super().__init__(reason)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class ReadNumber:
    """What Meta shows of a number. A word that it does not show is None."""

    display_phone_number: str | None
    quality: str | None
    throughput: str | None
    state: str | None


async def read_number(settings: Settings, number: str) -> ReadNumber:
    """Read a number with its token. Raises NumberUnreadable."""
    token = settings.tokens_by_number().get(number, settings.whatsapp_access_token)
    if not token.get_secret_value():
        raise NumberUnreadable("The number has no access token.")
    url = f"{settings.whatsapp_api_url}/{settings.whatsapp_api_version}/{quote(number, safe='')}"
    try:
        async with cloud_answers.reading(token, READ_TIMEOUT_S) as client:
            return shown_by(await cloud_answers.get(client, url, {"fields": FIELDS}, ANSWER_BYTES_MAX))
    except CloudUnreadable as why:
        raise NumberUnreadable(str(why), why.fault) from None


def shown_by(given: Mapping[str, Any]) -> ReadNumber:
    """What an answer shows."""
    throughput = given.get("throughput")
    return ReadNumber(
        _word(given.get("display_phone_number")),
        _word(given.get("quality_rating")),
        _word(throughput.get("level") if isinstance(throughput, dict) else None),
        _word(given.get("status")),
    )


def _word(value: object) -> str | None:
    return value[:WORD_CHARACTERS_MAX] if isinstance(value, str) and value else None
