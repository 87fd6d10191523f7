"""The middleware decides which requests the API accepts."""

import time
from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from api.access import Access, is_loopback_authority, is_loopback_origin
from api.pages.session import COOKIE, LIFETIME_S, issue
from api.server import require_keys
from runtime.settings import InvalidSettings, Settings


async def _echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


def _client(*keys: str) -> httpx.AsyncClient:
    both = ["GET", "POST"]
    routes = [Route(path, _echo, methods=both) for path in ("/api/campaigns", "/campaigns/1", "/health", "/docs.json")]
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
    assert (await client.get("/api/campaigns")).status_code == 200
    assert (await client.get("/api/campaigns", headers={"Host": "evil.example"})).json()["code"] == "foreign_host"
    foreign = await client.post("/api/campaigns", headers={"Origin": "https://evil.example"})
    assert foreign.json()["code"] == "foreign_origin"
    assert (await client.post("/api/campaigns", headers={"Origin": "null"})).status_code == 403
    assert (await client.post("/api/campaigns", headers={"Origin": "http://localhost:3000"})).status_code == 200


@pytest.mark.parametrize(
    "header", ["Forwarded", "Via", "X-Real-IP", "X-Forwarded-For", "x-forwarded-host", "X-Forwarded-Proto", "via"]
)
@pytest.mark.parametrize("value", ["for=203.0.113.9", ""])
async def test_without_keys_a_forwarded_request_is_refused(header: str, value: str) -> None:
    """A tunnel or a proxy on this machine makes every request of the Internet one from loopback."""
    answered = await _client().get("/api/campaigns", headers={header: value})
    assert (answered.status_code, answered.json()["code"]) == (403, "forwarded_request")
    assert (await _client().get("/health", headers={header: value})).status_code == 200
    with_key = await _client("first-key").get("/api/campaigns", headers={header: value, "X-API-Key": "first-key"})
    assert with_key.status_code == 200


async def test_with_keys_every_request_but_a_probe_needs_one() -> None:
    client = _client("first-key", "second-key")
    refused = await client.get("/api/campaigns")
    assert (refused.status_code, refused.json()["code"]) == (401, "key_required")
    assert refused.headers["www-authenticate"] == "Bearer"
    assert (await client.get("/api/campaigns", headers={"X-API-Key": "wrong"})).status_code == 401
    assert (await client.get("/api/campaigns", headers={"X-API-Key": ""})).status_code == 401
    assert (await client.get("/api/campaigns", headers={"Authorization": "Basic first-key"})).status_code == 401
    for key in ("first-key", "second-key"):
        assert (await client.get("/api/campaigns", headers={"X-API-Key": key})).status_code == 200
        assert (await client.get("/api/campaigns", headers={"Authorization": f"Bearer {key}"})).status_code == 200
    assert (await client.get("/health")).status_code == 200


async def _chunks() -> AsyncIterator[bytes]:
    for _ in range(2):
        yield b"x" * 600


async def test_a_body_above_the_limit_is_413_with_or_without_a_content_length() -> None:
    client = _client()
    assert (await client.post("/api/campaigns", content=b"x" * 1000)).text == "1000"
    assert (await client.post("/api/campaigns", content=b"x" * 1001)).json()["code"] == "body_too_large"
    assert (await client.post("/api/campaigns", content=_chunks())).status_code == 413


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


PAGES = ("/", "/campaigns/1", "/live", "/sign-out")


@pytest.mark.parametrize("path", PAGES)
async def test_with_keys_a_page_without_a_session_is_the_sign_in(path: str) -> None:
    refused = await _client("a-key").get(path, headers={"Authorization": "Basic YTphLWtleQ=="})
    assert (refused.status_code, refused.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert refused.headers["www-authenticate"] == "Bearer", "a browser must not ask for a password"
    assert '<form method="post" action="/sign-in"' in refused.text
    assert "refresh" not in refused.text, "the form would be emptied every few seconds"


async def test_the_sign_in_continues_with_the_page_that_was_wanted() -> None:
    refused = await _client("a-key").get("/campaigns/7?status=failed")
    assert '<input type="hidden" name="next" value="/campaigns/7?status=failed">' in refused.text
    hostile = await _client("a-key").get("//evil.example/campaigns/")
    assert "evil" not in hostile.text


async def test_a_form_that_is_sent_without_a_session_is_not_taken_for_done() -> None:
    headers = {"Sec-Fetch-Site": "same-origin"}
    refused = await _client("a-key").post("/campaigns/7/pause", headers=headers)
    assert refused.status_code == 401
    assert "nothing was done" in refused.text
    assert '<input type="hidden" name="next" value="/campaigns/7">' in refused.text, "there is no page /pause"
    assert "nothing was done" not in (await _client("a-key").get("/campaigns/7")).text


async def test_a_session_opens_the_page_and_nothing_else() -> None:
    client = _client("a-key")
    cookie = {"Cookie": f"other=1; {COOKIE}={issue(b'a-key', '0f', int(time.time()))}"}
    assert (await client.get("/campaigns/1", headers=cookie)).status_code == 200
    assert (await client.get("/api/campaigns", headers=cookie)).status_code == 401
    assert (await client.get("/docs.json", headers=cookie)).status_code == 401
    expired = {"Cookie": f"{COOKIE}={issue(b'a-key', '0f', int(time.time()) - LIFETIME_S - 1)}"}
    assert (await client.get("/campaigns/1", headers=expired)).status_code == 401
    assert (await _client("another-key").get("/campaigns/1", headers=cookie)).status_code == 401


OWN = {"Origin": "http://127.0.0.1:8000"}


@pytest.mark.parametrize(
    ("headers", "is_taken"),
    [
        (OWN, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({**OWN, "Sec-Fetch-Site": "same-origin"}, True),
        ({}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://127.0.0.1:9000"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({**OWN, "Sec-Fetch-Site": "same-site"}, False),
        ({**OWN, "Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
    ],
)
@pytest.mark.parametrize("keys", [(), ("a-key",)])
async def test_a_change_on_the_page_comes_from_the_page(
    headers: dict[str, str], is_taken: bool, keys: tuple[str, ...]
) -> None:
    """Another program on this machine has another port, and so another origin."""
    permission = {"X-API-Key": "a-key"} if keys else {}
    answered = await _client(*keys).post("/campaigns/1", headers={**headers, **permission})
    assert answered.status_code == (200 if is_taken else 403)
    assert "json" not in answered.headers["content-type"], "a person reads it"


async def test_without_keys_the_page_needs_no_session_and_stays_on_this_machine() -> None:
    assert (await _client().get("/campaigns/1")).status_code == 200
    foreign = await _client().get("/campaigns/1", headers={"Host": "evil.example"})
    assert (foreign.status_code, foreign.headers["content-type"]) == (403, "text/html; charset=utf-8")


async def test_without_keys_the_documentation_is_for_this_machine_only() -> None:
    refused = await _client().get("/docs", headers={"Host": "evil.example"})
    assert refused.json()["code"] == "foreign_host"
