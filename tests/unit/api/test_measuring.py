"""Every request is counted by its operation and status."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI, HTTPException
from fastapi.responses import StreamingResponse

from api.measuring import Measuring
from runtime.metrics import REGISTRY


def app() -> FastAPI:
    made = FastAPI(generate_unique_id_function=lambda route: route.name)
    made.add_middleware(Measuring)

    @made.get("/test/{thing}")
    async def read_test_thing(thing: str) -> str:
        if thing == "missing":
            raise HTTPException(404)
        if thing == "broken":
            raise ZeroDivisionError
        return thing

    return made


async def test_a_stream_is_counted_and_not_timed() -> None:
    made = app()

    @made.get("/stream")
    async def follow_test_stream() -> StreamingResponse:
        return StreamingResponse(iter(["data: \n\n"]), media_type="text/event-stream")

    async with httpx.AsyncClient(transport=httpx.ASGITransport(made), base_url="http://test") as client:
        await client.get("/stream")
    assert count("follow_test_stream", "200") == 1
    labels = {"operation": "follow_test_stream"}
    assert REGISTRY.get_sample_value("campaigns_api_request_seconds_count", labels) is None


def count(operation: str, status: str) -> float:
    labels = {"operation": operation, "status": status}
    return REGISTRY.get_sample_value("campaigns_api_requests_total", labels) or 0.0


@pytest.mark.parametrize(
    ("path", "operation", "status"),
    [
        ("/test/a", "read_test_thing", "200"),
        ("/test/missing", "read_test_thing", "404"),
        ("/test/broken", "read_test_thing", "500"),
        ("/another", "none", "404"),
    ],
)
async def test_a_request_is_counted_by_its_route_and_never_by_its_path(path: str, operation: str, status: str) -> None:
    before = count(operation, status)
    transport = httpx.ASGITransport(app(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        await client.get(path)
    assert count(operation, status) == before + 1
    timed = REGISTRY.get_sample_value("campaigns_api_request_seconds_count", {"operation": operation})
    assert timed is not None
    assert timed >= 1
