"""Checks each sending number of the settings at the Cloud API: one GET with the token of the number. It sends nothing.

Source: Meta's page "Phone numbers" (fields) and "Throughput" (levels: STANDARD is 80 messages a second, HIGH 1,000).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import orjson
from pydantic import SecretStr

from operations.replication import Judgement
from runtime.logs import mask_text
from runtime.settings import Settings
from schemas.codec import PRODUCER

TIMEOUT_S = 5.0
FIELDS = "id,display_phone_number,quality_rating,throughput,status"
ANSWER_BYTES_MAX = 64 * 1024
MESSAGE_CHARACTERS_MAX = 200
STANDARD_MPS = 80
FASTEST: dict[str, int] = {"STANDARD": STANDARD_MPS, "HIGH": 1000}
"""Messages per second of each level of throughput."""


def check_numbers(settings: Settings) -> Iterator[tuple[str, Judgement]]:
    """Check every number of the settings that has a token. A number that fails keeps no other from its check."""
    tokens, paces = settings.tokens_by_number(), settings.mps_by_number()
    with httpx.Client(follow_redirects=False, trust_env=False, timeout=TIMEOUT_S) as client:
        for number in sorted(settings.known_numbers):
            token = tokens.get(number, settings.whatsapp_access_token)
            if token.get_secret_value():
                yield number, _check(client, settings, number, token, paces.get(number, settings.whatsapp_mps))


def _check(client: httpx.Client, settings: Settings, number: str, token: SecretStr, mps: int) -> Judgement:
    url = f"{settings.whatsapp_api_url}/{settings.whatsapp_api_version}/{quote(number, safe='')}"
    headers = {"Authorization": f"Bearer {token.get_secret_value()}", "User-Agent": PRODUCER}
    try:
        with client.stream("GET", url, params={"fields": FIELDS}, headers=headers) as answer:
            content = bytearray()
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > ANSWER_BYTES_MAX:
                    break
    except httpx.HTTPError as error:
        found = f"the Cloud API does not answer ({type(error).__name__})"
        return Judgement("warning", found, "check CAMPAIGNS_WHATSAPP_API_URL and the network")
    return judge_answer(answer.status_code, bytes(content), mps)


def judge_answer(status: int, content: bytes, mps: int) -> Judgement:
    """What an answer about a number means. `mps`: the pace of the settings."""
    try:
        given = orjson.loads(content)
    except orjson.JSONDecodeError:
        given = None
    if not isinstance(given, dict):
        step = "check CAMPAIGNS_WHATSAPP_API_URL"
        return Judgement("wrong", f"the answer (HTTP {status}) is not one of the Cloud API", step)
    error = given.get("error")
    if status != httpx.codes.OK or isinstance(error, dict):
        code = error.get("code") if isinstance(error, dict) else None
        text = mask_text(str(error.get("message") or "") if isinstance(error, dict) else "")[:MESSAGE_CHARACTERS_MAX]
        found = f"refused (HTTP {status}, code {code}): {text}"
        return Judgement("wrong", found, "check the id of the number, and its access token")
    level = _level(given)
    known = f"quality {_word(given, 'quality_rating')}, throughput {level}, {mps} messages a second"
    if mps > FASTEST.get(level, mps):
        step = f"lower its mps to {FASTEST[level]}, or Meta throttles it"
        return Judgement("warning", known, step)
    return Judgement("ok", known)


def _level(given: dict[str, Any]) -> str:
    throughput = given.get("throughput")
    return _word(throughput, "level") if isinstance(throughput, dict) else "not shown"


def _word(given: dict[str, Any], name: str) -> str:
    value = given.get(name)
    return value[:40] if isinstance(value, str) and value else "not shown"
