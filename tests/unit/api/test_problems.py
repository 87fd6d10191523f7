"""An error is a problem for programs, and a page for the people at `/`."""

from __future__ import annotations

import httpx
import psycopg
import pytest
from fastapi import FastAPI

from api.problems import register


def _client(error: Exception) -> httpx.AsyncClient:
    app = FastAPI()
    register(app)

    async def fail() -> None:
        raise error

    for path in ("/", "/api/campaigns"):
        app.add_api_route(path, fail)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (psycopg.OperationalError("connection refused"), 503, "Postgres does not answer"),
        (psycopg.errors.UndefinedTable("no table"), 500, "Its log has the reason"),
        (RuntimeError("a bug"), 500, "Its log has the reason"),
    ],
)
async def test_a_failure_is_a_page_for_people_and_a_problem_for_programs(
    error: Exception, status: int, words: str
) -> None:
    async with _client(error) as client:
        page, problem = await client.get("/"), await client.get("/api/campaigns")
    assert (page.status_code, page.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert words in page.text
    assert '<meta http-equiv="refresh" content="5">' in page.text
    assert (problem.status_code, problem.headers["content-type"]) == (status, "application/problem+json")
