"""One post makes one request: tested with a local server that answers, cuts, hangs and redirects."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import pytest
from aiohttp import web
from pydantic import SecretStr

from domain.outcomes import Accepted, NotSent, Outcome, Rejected, Throttled, UnknownOutcome
from domain.parameter_texts import InvalidTemplateParameters
from schemas.jobs import SendJob
from schemas.model import CampaignId, RecipientId
from streams.sender import cloud_api
from streams.sender.cloud_api import CloudApi, Endpoint, message
from streams.sender.http_connection import ANSWER_BYTES_MAX
from streams.sender.http_pool import PostPool

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _job(parameters: list[Any] | dict[str, Any] | None = None) -> SendJob:
    return SendJob(
        campaign_id=CampaignId(UUID(int=1)),
        recipient_id=RecipientId(UUID(int=2)),
        attempt=1,
        phone_number_id="106540352242922",
        phone_number="14694652751",
        template_name="promo",
        language_code="en_US",
        template_parameters=parameters,
        send_before=datetime(2100, 1, 1, tzinfo=UTC),
    )


class Server:
    """Counts what it receives; the handler of the test answers."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.port = 0

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.path, dict(request.headers), orjson.loads(await request.read())))
        return await self.handler(request)


@contextlib.asynccontextmanager
async def _serving(handler: Handler) -> AsyncIterator[Server]:
    server, application = Server(handler), web.Application()
    application.router.add_route("*", "/{tail:.*}", server.take)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    server.port = int(runner.addresses[0][1])
    try:
        yield server
    finally:
        await runner.cleanup()


def _api(port: int, *, timeout_s: float = 5.0, **more: Any) -> CloudApi:
    url = f"http://127.0.0.1:{port}"
    return CloudApi(url=url, version="v25.0", access_token=SecretStr("tok"), timeout_s=timeout_s, **more)


async def _post(port: int, *, timeout_s: float = 5.0, job: SendJob | None = None) -> Outcome:
    async with _api(port, timeout_s=timeout_s) as api:
        return await api.post(job or _job(), "1.data")


@pytest.mark.parametrize("policy", ["", "STRICT", "CLOUD_API_FALLBACK"])
async def test_marketing_messages_are_posted_to_their_endpoint_with_the_policy(policy: str) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"messages": [{"id": "wamid.A"}]})

    async with _serving(answer) as server, CloudApi(
        url=f"http://127.0.0.1:{server.port}", version="v25.0", access_token=SecretStr("tok"), timeout_s=5,
        endpoint=Endpoint("marketing_messages", policy),
    ) as api:  # fmt: skip
        assert isinstance(await api.post(_job(), "1.data"), Accepted)
    [(path, _, body)] = server.requests
    assert path == "/v25.0/106540352242922/marketing_messages"
    assert body == message(_job(), "1.data") | ({"product_policy": policy} if policy else {})


@pytest.mark.parametrize(("named", "policy"), [("messages", None), ("marketing_messages", "STRICT")])
async def test_the_endpoint_of_a_job_comes_before_that_of_the_settings(named: Any, policy: str | None) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"messages": [{"id": "wamid.A"}]})

    async with _serving(answer) as server, CloudApi(
        url=f"http://127.0.0.1:{server.port}", version="v25.0", access_token=SecretStr("tok"), timeout_s=5,
        endpoint=Endpoint("marketing_messages", "STRICT"),
    ) as api:  # fmt: skip
        assert isinstance(await api.post(_job(), "1.data"), Accepted)
        assert isinstance(await api.post(_job().model_copy(update={"endpoint": named}), "1.data"), Accepted)
    _, (path, _, body) = server.requests
    assert path == f"/v25.0/106540352242922/{named}"
    assert body.get("product_policy") == policy


async def test_the_message_is_posted_once_with_token_and_callback_data() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"messages": [{"id": "wamid.A"}]})

    async with _serving(answer) as server:
        assert await _post(server.port, job=_job(["Ann", 7])) == Accepted("wamid.A")
    [(path, headers, body)] = server.requests
    assert path == "/v25.0/106540352242922/messages"
    assert headers["Authorization"] == "Bearer tok"
    assert body == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "14694652751",
        "type": "template",
        "biz_opaque_callback_data": "1.data",
        "template": {
            "name": "promo",
            "language": {"code": "en_US"},
            "components": [
                {"type": "body", "parameters": [{"type": "text", "text": "Ann"}, {"type": "text", "text": "7"}]}
            ],
        },
    }


@pytest.mark.parametrize("status", [301, 302, 307, 308, 500, 502, 503])
async def test_no_layer_repeats_a_request_or_follows_a_redirect(status: int) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async with _serving(answer) as server:
        assert isinstance(await _post(server.port), UnknownOutcome)
    assert len(server.requests) == 1


async def _cut(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def _cut_in_answer(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b'{"messages":[{"id":')
    assert request.transport is not None
    request.transport.abort()
    return response


@pytest.mark.parametrize("handler", [_cut, _cut_in_answer])
async def test_a_connection_cut_after_the_request_is_unknown_and_not_repeated(handler: Handler) -> None:
    async with _serving(handler) as server:
        assert await _post(server.port) == UnknownOutcome("disconnected")
    assert len(server.requests) == 1


async def test_a_reused_connection_that_is_cut_is_not_repeated_either() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return (
            web.json_response({"messages": [{"id": "wamid.A"}]}) if len(server.requests) == 1 else await _cut(request)
        )

    async with _serving(answer) as server, _api(server.port) as api:
        assert await api.post(_job(), "x") == Accepted("wamid.A")
        assert await api.post(_job(), "x") == UnknownOutcome("disconnected")
    assert len(server.requests) == 2


async def test_an_answer_that_never_comes_is_unknown() -> None:
    release = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.Response()

    async with _serving(answer) as server:
        assert await _post(server.port, timeout_s=0.3) == UnknownOutcome("timeout")
        release.set()
    assert len(server.requests) == 1


async def test_an_answer_in_slow_pieces_ends_at_the_total_timeout() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                await response.write(b" ")
                await asyncio.sleep(0.05)
        return response

    async with _serving(answer) as server:
        assert await _post(server.port, timeout_s=0.3) == UnknownOutcome("timeout")


async def test_a_full_window_of_posts_is_in_flight_at_once() -> None:
    """With the default pool of 100 connections, other posts would wait after the last check of their claim."""
    all_here = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        if len(server.requests) == 220:
            all_here.set()
        await all_here.wait()
        return web.json_response({"messages": [{"id": "wamid.A"}]})

    async with _serving(answer) as server, _api(server.port, timeout_s=10, connections=220) as api:
        outcomes = await asyncio.gather(*(api.post(_job(), "x") for _ in range(220)))
    assert set(outcomes) == {Accepted("wamid.A")}


async def test_a_send_without_a_connection_in_time_is_certainly_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud_api, "CONNECT_TIMEOUT_S", 0.2)
    monkeypatch.setattr(cloud_api, "CONNECTIONS_MIN", 1)
    release = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.json_response({"messages": [{"id": "wamid.A"}]})

    async with _serving(answer) as server, _api(server.port, timeout_s=10, connections=1) as api:
        first = asyncio.create_task(api.post(_job(), "x"))
        while not server.requests:  # noqa: ASYNC110 - until it holds the only connection
            await asyncio.sleep(0.01)
        assert await asyncio.wait_for(api.post(_job(), "x"), 5) == NotSent("no_free_connection", is_endpoint=False)
        release.set()
        assert await first == Accepted("wamid.A")
    assert len(server.requests) == 1


async def test_a_refused_connection_is_certainly_not_sent() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response()

    async with _serving(answer) as server:
        port = server.port
    assert await _post(port) == NotSent("connect_failed")


async def test_an_unknown_host_is_certainly_not_sent() -> None:
    api = CloudApi(url="http://no-such-host.invalid", version="v25.0", access_token=SecretStr("t"), timeout_s=5)
    async with api:
        assert isinstance(await api.post(_job(), "x"), NotSent)


async def test_a_tls_failure_is_certainly_not_sent() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response()

    async with _serving(answer) as server:
        api = CloudApi(
            url=f"https://127.0.0.1:{server.port}", version="v25.0", access_token=SecretStr("t"), timeout_s=5
        )
        async with api:
            assert isinstance(await api.post(_job(), "x"), NotSent)
    assert server.requests == []


async def test_an_endless_answer_is_not_read() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b" " * (ANSWER_BYTES_MAX + 1))

    async with _serving(answer) as server:
        assert await _post(server.port) == UnknownOutcome("answer_too_large", is_foreign=True)


async def test_errors_and_throttles_are_read_from_the_answer() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if len(server.requests) == 1:
            return web.json_response({"error": {"code": 131026, "message": "undeliverable"}}, status=400)
        return web.json_response({"error": {"code": 130429}}, status=429, headers={"Retry-After": "3"})

    async with _serving(answer) as server:
        assert await _post(server.port) == Rejected(131026, "undeliverable")
        outcome = await _post(server.port)
    assert isinstance(outcome, Throttled)
    assert outcome.retry_after_s == 3


async def test_parameters_that_cannot_be_sent_are_rejected_without_a_request() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response()

    async with _serving(answer) as server:
        outcome = await _post(server.port, job=_job([["nested"]]))
    assert isinstance(outcome, Rejected)
    assert server.requests == []


def test_named_parameters_and_ready_components() -> None:
    named = message(_job({"first_name": "Ann", "code": 5}), "x")["template"]["components"]
    assert named == [
        {
            "type": "body",
            "parameters": [
                {"type": "text", "parameter_name": "code", "text": "5"},
                {"type": "text", "parameter_name": "first_name", "text": "Ann"},
            ],
        }
    ]
    ready = [{"type": "header", "parameters": [{"type": "image", "image": {"id": "9"}}]}]
    assert message(_job({"components": ready}), "x")["template"]["components"] == ready
    assert "components" not in message(_job(), "x")["template"]


@pytest.mark.parametrize("parameters", [{"components": "x"}, {"components": [], "a": "b"}, [None], {"a": True}])
def test_other_parameters_are_refused(parameters: Any) -> None:
    with pytest.raises(InvalidTemplateParameters):
        message(_job(parameters), "x")


def test_the_token_does_not_show() -> None:
    api = CloudApi(url="http://x", version="v25.0", access_token=SecretStr("hush"), timeout_s=1)
    assert "hush" not in repr(api) + repr(vars(api))


@pytest.mark.parametrize(
    ("url", "token"),
    [
        ("http://a..b", "token"),
        ("http://user:pass@host", "token"),
        ("http://", "token"),
        ("http://127.0.0.1:9", "token\n"),
        ("http://127.0.0.1:9", "to\rken"),
        ("http://127.0.0.1:9", "to\x00ken"),
    ],
)
async def test_a_request_that_cannot_be_built_is_surely_not_sent_and_never_logs_the_token(
    url: str, token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with CloudApi(url=url, version="v25.0", access_token=SecretStr(token), timeout_s=1) as api:
        for _ in range(3):
            assert await api.post(_job(), "x") == NotSent("request_not_sendable")
    logged = capsys.readouterr()
    assert (logged.out + logged.err).count("cannot be built") == 1
    assert token.strip() not in (logged.out + logged.err).replace("the token", "")


async def test_an_exception_of_the_client_after_the_start_is_unknown_and_ends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may have been raised after the request had left."""

    def broken(*_args: object, **_options: object) -> None:
        raise ValueError("not one of its own exceptions")

    async with CloudApi(url="http://x", version="v25.0", access_token=SecretStr("t"), timeout_s=1) as api:
        monkeypatch.setattr(PostPool, "post", broken)
        assert await api.post(_job(), "x") == UnknownOutcome("client_failed")


@pytest.mark.parametrize(
    ("names", "sent"),
    [
        ({"phone_number": "14694652751"}, {"to": "14694652751"}),
        ({"phone_number": None, "user_id": "US.1349"}, {"recipient": "US.1349"}),
        ({"phone_number": "14694652751", "user_id": "US.1349"}, {"to": "14694652751"}),
    ],
)
def test_a_message_goes_to_the_number_or_else_to_the_user_id(names: dict[str, Any], sent: dict[str, Any]) -> None:
    body = message(_job().model_copy(update=names), "callback")
    assert {name: body[name] for name in ("to", "recipient") if name in body} == sent


async def test_a_number_posts_with_its_own_token() -> None:
    async def accept(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"messages": [{"id": "wamid.1"}]})

    other = _job().model_copy(update={"phone_number_id": "2"})
    async with _serving(accept) as server, _api(server.port, tokens={"2": SecretStr("own")}) as api:
        for job in (_job(), other, _job()):
            assert isinstance(await api.post(job, "x"), Accepted)
    assert [headers["Authorization"] for _, headers, _ in server.requests] == ["Bearer tok", "Bearer own", "Bearer tok"]


async def test_a_token_that_no_header_can_hold_stops_its_number_alone() -> None:
    async def accept(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"messages": [{"id": "wamid.1"}]})

    other = _job().model_copy(update={"phone_number_id": "2"})
    async with _serving(accept) as server, _api(server.port, tokens={"2": SecretStr("a\nb")}) as api:
        assert isinstance(await api.post(other, "x"), NotSent)
        assert isinstance(await api.post(_job(), "x"), Accepted)
