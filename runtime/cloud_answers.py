"""Reads from the Cloud API: one client, one limit for the whole time, and one wording for every answer that is no data.

A read is a GET, so it may be repeated, and it never changes or sends anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any

import httpx
import orjson
from pydantic import SecretStr

from runtime.logs import mask_text
from schemas.codec import PRODUCER

CONNECT_TIMEOUT_S = 2.0
MESSAGE_CHARACTERS_MAX = 200


class CloudFault(StrEnum):
    """Why a read gave no data."""

    UNREACHABLE = "unreachable"
    """The server did not answer in time, or not at all."""
    FOREIGN = "foreign"
    """The answer has not the shape of the Cloud API."""
    REFUSED = "refused"
    """The Cloud API refused the read."""


class CloudUnreadable(Exception):
    """A read gave no data. The text is a sentence with the reason, without a phone number or a token."""

    def __init__(self, fault: CloudFault, reason: str) -> None:
        super().__init__(reason)
        self.fault = fault


@asynccontextmanager
async def reading(token: SecretStr, within_s: float) -> AsyncIterator[httpx.AsyncClient]:
    """A client for the reads of the block, which may take so many seconds together. Raises CloudUnreadable."""
    try:
        async with (
            asyncio.timeout(within_s),
            httpx.AsyncClient(
                follow_redirects=False,
                trust_env=False,
                timeout=httpx.Timeout(within_s, connect=min(CONNECT_TIMEOUT_S, within_s)),
                headers={"Authorization": f"Bearer {token.get_secret_value()}", "User-Agent": PRODUCER},
            ) as client,
        ):
            yield client
    except TimeoutError:
        reason = f"The Cloud API did not answer within {within_s:g} s."
        raise CloudUnreadable(CloudFault.UNREACHABLE, reason) from None
    except httpx.HTTPError as error:
        reason = f"The Cloud API cannot be reached ({type(error).__name__})."
        raise CloudUnreadable(CloudFault.UNREACHABLE, reason) from None


async def get(client: httpx.AsyncClient, url: str, query: Mapping[str, str], bytes_max: int) -> Mapping[str, Any]:
    """The object that the Cloud API answers. Raises CloudUnreadable, and httpx.HTTPError inside `reading`."""
    async with client.stream("GET", url, params=dict(query)) as answer:
        content = bytearray()
        async for chunk in answer.aiter_bytes():
            content += chunk
            if len(content) > bytes_max:
                raise CloudUnreadable(CloudFault.FOREIGN, "The answer of the Cloud API is too large.")
    return data_of(answer.status_code, bytes(content))


def data_of(status: int, content: bytes) -> Mapping[str, Any]:
    """The object of an answer. Raises CloudUnreadable with the words of a refusal."""
    try:
        given = orjson.loads(content)
    except orjson.JSONDecodeError:
        given = None
    error = given.get("error") if isinstance(given, dict) else None
    if isinstance(error, dict):
        message = mask_text(str(error.get("message") or ""))[:MESSAGE_CHARACTERS_MAX]
        code = error.get("code")
        reason = f"The Cloud API refused the read (HTTP {status}, code {code}): {message}"
        raise CloudUnreadable(CloudFault.REFUSED, reason)
    if not isinstance(given, dict) or status != httpx.codes.OK:
        raise foreign(status)
    return given


def foreign(status: int = httpx.codes.OK) -> CloudUnreadable:
    """The refusal of an answer that is not one of the Cloud API."""
    return CloudUnreadable(CloudFault.FOREIGN, f"The answer (HTTP {status}) is not one of the Cloud API.")
