"""Reads a sending number from the Cloud API. A read is a GET: it sends and changes nothing.

Source: Meta's page "Phone numbers" (fields) and "Throughput" (levels).
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

import httpx
import orjson

from runtime.logs import mask_text
from runtime.settings import Settings
from schemas.codec import PRODUCER

FIELDS = "id,display_phone_number,quality_rating,throughput,status"
TIMEOUT_S = 5.0
ANSWER_BYTES_MAX = 64 * 1024
WORD_CHARACTERS_MAX = 40
MESSAGE_CHARACTERS_MAX = 200


class NumberUnreadable(Exception):
    """The number cannot be read now. The text is a sentence with the reason."""


@dataclass(frozen=True, slots=True)
class ReadNumber:
    """What Meta shows of a number. A word that it does not show is None."""

    display_phone_number: str | None
    quality: str | None
    throughput: str | None
    state: str | None


async def read_number(settings: Settings, number: str) -> ReadNumber:
    """Read a number with its token. Raises NumberUnreadable."""
    token = settings.tokens_by_number().get(number, settings.whatsapp_access_token).get_secret_value()
    if not token:
        raise NumberUnreadable("The number has no access token.")
    url = f"{settings.whatsapp_api_url}/{settings.whatsapp_api_version}/{quote(number, safe='')}"
    headers = {"Authorization": f"Bearer {token}", "User-Agent": PRODUCER}
    content = bytearray()
    try:
        async with (
            httpx.AsyncClient(follow_redirects=False, trust_env=False, timeout=TIMEOUT_S) as client,
            client.stream("GET", url, params={"fields": FIELDS}, headers=headers) as answer,
        ):
            async for chunk in answer.aiter_bytes():
                content += chunk
                if len(content) > ANSWER_BYTES_MAX:
                    break
    except httpx.HTTPError as error:
        raise NumberUnreadable(f"The Cloud API cannot be reached ({type(error).__name__}).") from None
    return read_answer(answer.status_code, bytes(content))


def read_answer(status: int, content: bytes) -> ReadNumber:
    """What an answer shows. Raises NumberUnreadable."""
    try:
        given = orjson.loads(content)
    except orjson.JSONDecodeError:
        given = None
    if not isinstance(given, dict):
        raise NumberUnreadable(f"The answer (HTTP {status}) is not one of the Cloud API.")
    error = given.get("error")
    if status != httpx.codes.OK or isinstance(error, dict):
        code = error.get("code") if isinstance(error, dict) else None
        message = mask_text(str(error.get("message") or "") if isinstance(error, dict) else "")
        raise NumberUnreadable(
            f"The Cloud API refused the read (HTTP {status}, code {code}): {message[:MESSAGE_CHARACTERS_MAX]}"
        )
    throughput = given.get("throughput")
    return ReadNumber(
        _word(given.get("display_phone_number")),
        _word(given.get("quality_rating")),
        _word(throughput.get("level") if isinstance(throughput, dict) else None),
        _word(given.get("status")),
    )


def _word(value: object) -> str | None:
    return value[:WORD_CHARACTERS_MAX] if isinstance(value, str) and value else None
