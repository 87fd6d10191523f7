"""What an answer of the Cloud API to a read means, and how long a read may take."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import orjson
import pytest
from pydantic import SecretStr

from runtime import cloud_answers
from runtime.cloud_answers import CloudFault, CloudUnreadable, data_of

REFUSED, FOREIGN = CloudFault.REFUSED, CloudFault.FOREIGN


def test_an_object_is_data() -> None:
    assert data_of(200, b'{"id": "106"}') == {"id": "106"}
    assert data_of(200, b'{"error": "a word"}') == {"error": "a word"}


@pytest.mark.parametrize(
    ("status", "content", "fault", "words"),
    [
        (502, b"<html>", FOREIGN, r"^The answer \(HTTP 502\) is not one of the Cloud API\.$"),
        (200, b"[]", FOREIGN, "not one of the Cloud API"),
        (401, b"{}", FOREIGN, "HTTP 401"),
        (404, b'{"error": "none"}', FOREIGN, "HTTP 404"),
        (400, orjson.dumps({"error": {"code": 100, "message": "no such number 15550001234"}}), REFUSED, "code 100"),
        (200, orjson.dumps({"error": {"code": 190}}), REFUSED, r"refused the read \(HTTP 200, code 190\): $"),
    ],
)
def test_every_other_answer_is_a_sentence_without_a_phone_number(
    status: int, content: bytes, fault: CloudFault, words: str
) -> None:
    with pytest.raises(CloudUnreadable, match=words) as caught:
        data_of(status, content)
    assert caught.value.fault is fault
    assert "15550001234" not in str(caught.value)


async def test_a_server_that_sends_byte_after_byte_does_not_hold_a_read(monkeypatch: pytest.MonkeyPatch) -> None:
    async def endless(*_: Any, **__: Any) -> httpx.Response:
        return await asyncio.Event().wait()  # type: ignore[return-value] # it never returns

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", endless)
    with pytest.raises(CloudUnreadable, match=r"did not answer within 0\.01 s") as caught:
        async with cloud_answers.reading(SecretStr("t"), 0.01) as client:
            await cloud_answers.get(client, "http://127.0.0.1:9/1", {}, 100)
    assert caught.value.fault is CloudFault.UNREACHABLE
