"""A session begins with a key, opens the page alone, and ends."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest

from tests.support.api_client import CAMPAIGNS, Api, an_api

KEY = "a-key-of-the-tests-with-enough-characters"
OWN = {"Origin": "http://127.0.0.1:8000"}


@pytest.fixture
async def api(database_url: str, kafka: str, topic_prefix: str) -> AsyncIterator[Api]:
    async with an_api(database_url, kafka, topic_prefix, keys=("another-key-of-the-tests", KEY)) as found:
        yield found


async def test_a_key_opens_the_page_until_the_sign_out(api: Api) -> None:
    wanted = await api.http.get("/campaigns/new")
    assert wanted.status_code == 401
    refused = await api.http.post("/sign-in", data={"key": "wrong", "next": "/"}, headers=OWN)
    assert (refused.status_code, len(refused.cookies)) == (401, 0)
    assert "This is not a key of this installation" in refused.text

    signed_in = await api.http.post("/sign-in", data={"key": KEY, "next": "/?status=draft"}, headers=OWN)
    assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/?status=draft")
    cookie = signed_in.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert KEY not in cookie
    listed = await api.http.get("/")
    assert listed.status_code == 200
    assert (await api.http.get(CAMPAIGNS)).status_code == 401, "another site could use the API"

    [token] = set(re.findall(r'name="form_token" value="([0-9a-f]{64})"', listed.text))
    unsigned = await api.http.post("/sign-out", headers=OWN, data={"form_token": "0" * 64})
    assert unsigned.status_code == 403
    assert "out of date" in unsigned.text
    left = await api.http.post("/sign-out", headers=OWN, data={"form_token": token})
    assert (left.status_code, left.headers["location"]) == (303, "/sign-in")
    assert (await api.http.get("/")).status_code == 401


async def test_a_sign_in_from_another_page_is_refused(api: Api) -> None:
    foreign = await api.http.post("/sign-in", data={"key": KEY}, headers={"Origin": "https://evil.example"})
    assert (foreign.status_code, len(foreign.cookies)) == (403, 0)


async def test_over_https_the_cookie_is_never_sent_without(api: Api) -> None:
    headers = {"Sec-Fetch-Site": "same-origin", "X-Forwarded-Proto": "https"}
    assert "Secure" in (await api.http.post("/sign-in", data={"key": KEY}, headers=headers)).headers["set-cookie"]


async def test_another_body_than_a_form_is_refused(api: Api) -> None:
    assert (await api.http.post("/sign-in", json={"key": KEY}, headers=OWN)).status_code == 415
    many = "&".join(f"f{n}=1" for n in range(100))
    headers = {**OWN, "Content-Type": "application/x-www-form-urlencoded"}
    assert (await api.http.post("/sign-in", content=many, headers=headers)).status_code == 400
    assert (await api.http.post("/sign-in", content=b"key=\xff", headers=headers)).status_code in (400, 401)


async def test_without_keys_there_is_no_sign_in(database_url: str, kafka: str, topic_prefix: str) -> None:
    async with an_api(database_url, kafka, topic_prefix) as api:
        assert (await api.http.get("/sign-in")).headers["location"] == "/"
        assert (await api.http.get("/")).status_code == 200
