"""Probes: `/health` shows that this process answers, `/ready` that its dependencies do."""

from __future__ import annotations

import psycopg
import psycopg_pool
from fastapi import APIRouter
from fastapi.responses import JSONResponse

from api.answers import HealthOut, ReadyOut
from api.services import UseServices
from schemas.topics import Topic
from tables import server

router = APIRouter(tags=["probes"])


@router.get("/health")
async def read_health() -> HealthOut:
    """Answer while the process runs."""
    return HealthOut()


@router.get("/ready", response_model=ReadyOut, responses={503: {"model": ReadyOut}})
async def read_readiness(services: UseServices) -> JSONResponse:
    """Answer 200 while Postgres and Kafka answer."""
    checks = {
        "postgres": await _is_postgres_there(services),
        "kafka": await services.publisher.is_reachable(services.settings.topic(Topic.SEND_JOBS)),
    }
    is_ready = all(checks.values())
    found = ReadyOut(status="ready" if is_ready else "not_ready", checks=checks)
    return JSONResponse(found.model_dump(), 200 if is_ready else 503)


async def _is_postgres_there(services: UseServices) -> bool:
    try:
        async with services.pool.connection(timeout=2.0) as connection:
            await server.ping(connection)
    except (psycopg.Error, psycopg_pool.PoolTimeout):
        return False
    return True
