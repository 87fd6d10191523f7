"""The middleware decides which requests the API accepts."""

from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from api.access import Access, is_loopback_authority, is_loopback_origin
from api.server import require_keys
from runtime.settings import InvalidSettings, Settings


async def _echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


def _client(*keys: str) -> httpx.AsyncClient:
    routes = [Route("/campaigns", _echo, methods=["GET", "POST"]), Route("/health", _echo)]
    app = Access(Starlette(routes=routes), [SecretStr(key) for key in keys], body_bytes_max=1000)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000")


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8000", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8000", "LOCALHOST:80"]
)
def test_loopback_is_local_with_any_port(host: str) -> None:
    assert is_loopback_authority(host)
    assert is_loopback_origin(f"http://{host}")
    assert is_loopback_origin(f"https://{host}")


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "localhost:x",
     "localhost/evil", "evil.example#localhost", "[::1", "localhost@evil", "0.0.0.0", "localhost:99999"],
)  # fmt: skip
def test_other_hosts_are_foreign(host: str) -> None:
    assert not is_loopback_authority(host)
    assert not is_loopback_origin(f"http://{host}")


@pytest.mark.parametrize("origin", ["null", "", "file://", "localhost", "http://localhost/path", "ftp://localhost"])
def test_an_origin_is_local_or_foreign(origin: str) -> None:
    assert not is_loopback_origin(origin)


async def test_without_keys_a_foreign_host_or_page_is_refused() -> None:
    client = _client()
    assert (await client.get("/campaigns")).status_code == 200
    assert (await client.get("/campaigns", headers={"Host": "evil.example"})).json()["code"] == "foreign_host"
    foreign = await client.post("/campaigns", headers={"Origin": "https://evil.example"})
    assert foreign.json()["code"] == "foreign_origin"
    assert (await client.post("/campaigns", headers={"Origin": "null"})).status_code == 403
    assert (await client.post("/campaigns", headers={"Origin": "http://localhost:3000"})).status_code == 200


@pytest.mark.parametrize(
    "header", ["Forwarded", "Via", "X-Real-IP", "X-Forwarded-For", "x-forwarded-host", "X-Forwarded-Proto", "via"]
)
@pytest.mark.parametrize("value", ["for=203.0.113.9", ""])
async def test_without_keys_a_forwarded_request_is_refused(header: str, value: str) -> None:
    """A tunnel or a proxy on this machine makes every request of the Internet one from loopback."""
    answered = await _client().get("/campaigns", headers={header: value})
    assert (answered.status_code, answered.json()["code"]) == (403, "forwarded_request")
    assert (await _client().get("/health", headers={header: value})).status_code == 200
    with_key = await _client("first-key").get("/campaigns", headers={header: value, "X-API-Key": "first-key"})
    assert with_key.status_code == 200


async def test_with_keys_every_request_but_a_probe_needs_one() -> None:
    client = _client("first-key", "second-key")
    refused = await client.get("/campaigns")
    assert (refused.status_code, refused.json()["code"]) == (401, "key_required")
    assert refused.headers["www-authenticate"] == "Bearer"
    assert (await client.get("/campaigns", headers={"X-API-Key": "wrong"})).status_code == 401
    assert (await client.get("/campaigns", headers={"X-API-Key": ""})).status_code == 401
    assert (await client.get("/campaigns", headers={"Authorization": "Basic first-key"})).status_code == 401
    for key in ("first-key", "second-key"):
        assert (await client.get("/campaigns", headers={"X-API-Key": key})).status_code == 200
        assert (await client.get("/campaigns", headers={"Authorization": f"Bearer {key}"})).status_code == 200
    assert (await client.get("/health")).status_code == 200


async def _chunks() -> AsyncIterator[bytes]:
    for _ in range(2):
        yield b"x" * 600


async def test_a_body_above_the_limit_is_413_with_or_without_a_content_length() -> None:
    client = _client()
    assert (await client.post("/campaigns", content=b"x" * 1000)).text == "1000"
    assert (await client.post("/campaigns", content=b"x" * 1001)).json()["code"] == "body_too_large"
    assert (await client.post("/campaigns", content=_chunks())).status_code == 413


def _settings(host: str, *keys: str) -> Settings:
    return Settings(
        kafka_bootstrap_servers="k:1",
        database_url=SecretStr("postgresql://x"),
        api_host=host,
        api_keys=tuple(SecretStr(key) for key in keys),
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.com"])
def test_the_api_needs_a_key_to_start_beyond_loopback(host: str) -> None:
    with pytest.raises(InvalidSettings, match="CAMPAIGNS_API_KEYS"):
        require_keys(_settings(host))
    require_keys(_settings(host, "key"))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_the_api_needs_no_key_on_loopback(host: str) -> None:
    require_keys(_settings(host))


@pytest.mark.parametrize(
    "credentials", ["", "Basic", "Basic !", "Basic /////w==", "Basic YWJj", "Basic a-key", "basic YTpi"]
)
async def test_a_password_that_cannot_be_read_is_no_key(credentials: str) -> None:
    refused = await _client("a-key").get("/", headers={"Authorization": credentials})
    assert (refused.status_code, refused.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert "refresh" not in refused.text, "the browser would ask for the key every few seconds"


async def test_without_keys_the_documentation_is_for_this_machine_only() -> None:
    refused = await _client().get("/docs", headers={"Host": "evil.example"})
    assert refused.json()["code"] == "foreign_host"
