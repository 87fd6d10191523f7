"""The Cloud API client: builds the template message, posts it ONCE, and returns the outcome that the answer proves.

The API has no idempotency key, so no layer here may retry a request or follow a redirect. An error counts as possibly
sent unless it surely happened before the first byte.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Any, Self
from urllib.parse import quote

import orjson
import structlog
from pydantic import SecretBytes, SecretStr
from yarl import URL

from domain.outcomes import Outcome, Rejected, outcome_of_answer, outcome_of_error
from domain.parameter_texts import InvalidTemplateParameters
from domain.parameters import parse, request_components
from schemas.codec import PRODUCER
from schemas.jobs import SendJob
from schemas.reasons import FailureReason, TransportError
from streams.sender.http_pool import PostPool, PostServer
from streams.sender.stage import STAGE

_log = structlog.get_logger(STAGE)
CONNECT_TIMEOUT_S = 1.0
"""Limit for getting a free connection, and for connecting. It lies between the last claim check and the post."""
CONNECTIONS_MIN = 200


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
        self._heads: dict[tuple[str, str], SecretBytes] = {}
        self._timeout_s = timeout_s
        self._connections = max(CONNECTIONS_MIN, connections)
        self._token = access_token
        self._tokens = tokens
        self._is_open = False
        self._pool: PostPool | None = None
        self._logged: set[type[Exception]] = set()

    async def __aenter__(self) -> Self:
        """Allow posts. The first one opens the pool of connections."""
        self._is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection."""
        self._is_open = False
        if self._pool is not None:
            await self._pool.close()

    async def post(self, job: SendJob, callback_data: str) -> Outcome:
        """Post one message once. No failure of the network or the server raises an exception."""
        if not self._is_open:
            raise RuntimeError("CloudApi is used outside its context")
        try:
            pool = self._pool = self._pool or self._opened()
            head = self._head(job.phone_number_id, job.endpoint or self._endpoint.name).get_secret_value()
            body = orjson.dumps(message(job, callback_data, self._endpoint))
        except InvalidTemplateParameters as error:
            return Rejected(None, f"{FailureReason.INVALID_TEMPLATE_PARAMETERS}: {error}")
        except Exception as error:  # noqa: BLE001 - nothing has left yet, so the message gives its claim back
            self._log_bug("the request cannot be built; nothing is sent", error)
            return outcome_of_error(TransportError.UNUSABLE)
        try:
            answer = await pool.post(b"%b%d\r\n\r\n%b" % (head, len(body), body), self._timeout_s)
        except Exception as error:  # noqa: BLE001 - it may have been sent; one message must not end all sends in flight
            self._log_bug("the HTTP client failed; the outcome is unknown", error)
            return outcome_of_error(TransportError.CLIENT)
        if isinstance(answer, TransportError):
            return outcome_of_error(answer)
        return outcome_of_answer(answer.status, answer.body, answer.retry_after)

    def _log_bug(self, event: str, error: Exception) -> None:
        """Log the first exception of each type: it repeats for every message. Its text may hold the token."""
        if type(error) not in self._logged:
            self._logged.add(type(error))
            place = traceback.extract_tb(error.__traceback__)[-1]
            _log.error(event, error=type(error).__name__, file=place.filename, line=place.lineno)

    def _opened(self) -> PostPool:
        """A pool of connections to the address. Raises ValueError if no request can be sent to it."""
        url = self._checked_url("")
        server = PostServer(url.raw_host or "", url.port or 0, is_tls=url.scheme == "https")
        return PostPool(server, connections=self._connections, connect_s=CONNECT_TIMEOUT_S)

    def _checked_url(self, path: str) -> URL:
        url = URL(self._root + path)
        if not url.host or url.user is not None or url.password is not None:
            raise ValueError("the address has no host, or has a user and a password")
        url.host.encode("idna")  # it will be looked up by this name
        return url

    def _head(self, phone_number_id: str, endpoint: str) -> SecretBytes:
        """The requests of a number to an endpoint, up to the length of the body. It has the token.

        It is made once, because that would cost a tenth of each post. Raises ValueError if it cannot be sent.
        """
        head = self._heads.get((phone_number_id, endpoint))
        if head is None:
            url = self._checked_url(f"/{quote(phone_number_id, safe='')}/{endpoint}")
            token = self._tokens.get(phone_number_id, self._token).get_secret_value()
            if any(character < " " or character == "\x7f" for character in token):
                raise ValueError("a header has a control character")
            lines = [
                f"POST {url.raw_path_qs} HTTP/1.1", f"Host: {url.host_port_subcomponent}",
                f"Authorization: Bearer {token}", "Content-Type: application/json", "Accept: */*",
                "Accept-Encoding: identity", f"User-Agent: {PRODUCER}", "Content-Length: ",
            ]  # fmt: skip
            head = self._heads[phone_number_id, endpoint] = SecretBytes("\r\n".join(lines).encode())
        return head


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
