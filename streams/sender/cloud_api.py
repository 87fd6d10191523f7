"""The Cloud API client: builds the template message, posts it ONCE, and returns the outcome that the answer proves.

The API has no idempotency key, so no layer here may retry a request or follow a redirect: aiohttp repeats idempotent
methods only, and POST is none. An error counts as possibly sent unless it surely happened before the first byte.
"""

from __future__ import annotations

import asyncio
import ssl
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Any, Self
from urllib.parse import quote

import aiohttp
import orjson
import structlog
from pydantic import SecretStr
from yarl import URL

from domain.outcomes import Outcome, Rejected, outcome_of_answer, outcome_of_error
from domain.parameter_texts import InvalidTemplateParameters
from domain.parameters import parse, request_components
from schemas.codec import PRODUCER
from schemas.jobs import SendJob
from schemas.reasons import FailureReason, TransportError
from streams.sender.stage import STAGE

_log = structlog.get_logger(STAGE)
CONNECT_TIMEOUT_S = 1.0
"""Limit for getting a free connection, and for connecting. It lies between the last claim check and the post."""
KEEPALIVE_S = 10.0
"""Shorter than the server's, because a post on a connection that the server has just closed has an unknown outcome."""
CONNECTIONS_MIN = 200
ANSWER_BYTES_MAX = 64 * 1024
"""Largest answer that is read. A real answer has less than 1 KiB."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where messages are posted: `messages`, or `marketing_messages` of the Marketing Messages API.

    A job may name another endpoint than this one.
    """

    name: str = "messages"
    product_policy: str = ""
    """Whether marketing_messages falls back to the Cloud API (CLOUD_API_FALLBACK or STRICT). Empty: Meta's default."""


MESSAGES = Endpoint()
MARKETING_MESSAGES = "marketing_messages"
"""The endpoint that knows the policy."""


class CloudApi:
    """Posts for every phone number: by its own access token, or by that of all others. Use it as an async context."""

    def __init__(
        self,
        *,
        url: str,
        version: str,
        access_token: SecretStr,
        tokens: Mapping[str, SecretStr] = MappingProxyType({}),
        timeout_s: float,
        connections: int = CONNECTIONS_MIN,
        endpoint: Endpoint = MESSAGES,
    ) -> None:
        self._root = f"{url}/{version}"
        self._endpoint = endpoint
        self._targets: dict[tuple[str, str], tuple[URL, Mapping[str, str] | None]] = {}
        self._timeout_s = timeout_s
        self._connections = max(CONNECTIONS_MIN, connections)
        self._token = access_token
        self._tokens = tokens
        self._session: aiohttp.ClientSession | None = None
        self._logged: set[type[Exception]] = set()

    async def __aenter__(self) -> Self:
        """Open the connection pool, inside the running loop."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._connections, keepalive_timeout=KEEPALIVE_S, ssl=ssl.create_default_context()
            ),
            # The whole request has a limit in `post`, so aiohttp needs no timer for each read.
            timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            headers={
                **_authorization(self._token),
                "Content-Type": "application/json",
                "Accept-Encoding": "identity",
                "User-Agent": PRODUCER,
            },
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def post(self, job: SendJob, callback_data: str) -> Outcome:
        """Post one message once. No failure of the network or the server raises an exception."""
        if self._session is None:
            raise RuntimeError("CloudApi is used outside its context")
        try:
            endpoint = job.endpoint or self._endpoint.name
            url, headers = self._target(job.phone_number_id, endpoint)
            body = orjson.dumps(message(job, callback_data, self._endpoint))
        except InvalidTemplateParameters as error:
            return Rejected(None, f"{FailureReason.INVALID_TEMPLATE_PARAMETERS}: {error}")
        except Exception as error:  # noqa: BLE001 - nothing has left yet, so the message gives its claim back
            self._log_bug("the request cannot be built; nothing is sent", error)
            return outcome_of_error(TransportError.UNUSABLE)
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                content = await _content(answer)
        except (aiohttp.ClientError, OSError) as error:  # a TimeoutError too
            return outcome_of_error(transport_error_of(error))
        except Exception as error:  # noqa: BLE001 - it may have been sent; one message must not end all sends in flight
            self._log_bug("the HTTP client failed; the outcome is unknown", error)
            return outcome_of_error(TransportError.CLIENT)
        if content is None:
            return outcome_of_error(TransportError.TOO_LARGE)
        return outcome_of_answer(answer.status, content, answer.headers.get("retry-after"))

    def _log_bug(self, event: str, error: Exception) -> None:
        """Log the first exception of each type: it repeats for every message. Its text may hold the token."""
        if type(error) not in self._logged:
            self._logged.add(type(error))
            place = traceback.extract_tb(error.__traceback__)[-1]
            _log.error(event, error=type(error).__name__, file=place.filename, line=place.lineno)

    def _target(self, phone_number_id: str, endpoint: str) -> tuple[URL, Mapping[str, str] | None]:
        """The endpoint of a number, and the header with its own token, if it has one.

        They are cached, because parsing the address would cost a tenth of each post. It raises ValueError wherever the
        HTTP client would refuse every request before the first byte.
        """
        target = self._targets.get((phone_number_id, endpoint))
        if target is None:
            url = URL(f"{self._root}/{quote(phone_number_id, safe='')}/{endpoint}")
            if not url.host or url.user is not None or url.password is not None:
                raise ValueError("the address has no host, or has a user and a password")
            url.host.encode("idna")  # the HTTP client resolves this name
            own = self._tokens.get(phone_number_id)
            token = self._token if own is None else own
            if any(character < " " or character == "\x7f" for character in token.get_secret_value()):
                raise ValueError("a header has a control character")
            target = self._targets[phone_number_id, endpoint] = url, None if own is None else _authorization(own)
        return target


def _authorization(token: SecretStr) -> dict[str, str]:
    return {"Authorization": f"Bearer {token.get_secret_value()}"}


def message(job: SendJob, callback_data: str, endpoint: Endpoint = MESSAGES) -> dict[str, Any]:
    """The body of the template message. Meta recommends the number, where both names are known.

    Raises InvalidTemplateParameters.
    """
    template: dict[str, Any] = {"name": job.template_name, "language": {"code": job.language_code}}
    components = request_components(parse(job.template_parameters))
    if components:
        template["components"] = components
    is_marketing = (job.endpoint or endpoint.name) == MARKETING_MESSAGES
    policy = {"product_policy": endpoint.product_policy} if endpoint.product_policy and is_marketing else {}
    return {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        **({"to": job.phone_number} if job.phone_number else {"recipient": job.user_id}),
        "type": "template",
        "biz_opaque_callback_data": callback_data,
        "template": template,
        **policy,
    }


def transport_error_of(error: BaseException) -> TransportError:
    """The error that ended a request without an answer."""
    match error:
        case aiohttp.ConnectionTimeoutError() | aiohttp.ClientConnectorError():
            return TransportError.CONNECT  # this includes the lack of a free connection: neither has sent a byte
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return TransportError.UNUSABLE
        case TimeoutError():  # aiohttp's own are of this type too
            return TransportError.TIMEOUT
        case _:
            return TransportError.DISCONNECT


async def _content(answer: aiohttp.ClientResponse) -> bytes | None:
    """The whole body, or None if it is larger than any real answer."""
    content = await answer.content.readany()
    while not answer.content.at_eof():
        if len(content) > ANSWER_BYTES_MAX:
            return None
        content += await answer.content.readany()
    return content if len(content) <= ANSWER_BYTES_MAX else None
