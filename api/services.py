"""The services that routes use, and the dependencies that provide them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Request

from api.pages.board import Board
from runtime.settings import Settings
from runtime.template_reader import TemplateReader
from tables.campaigns import UnknownCampaign
from tables.database import Connection, Pool
from topics.publisher import AsyncPublisher

IMPORTS_MAX = 2
"""Each import holds at most two connections, and takes one core while it judges."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Services:
    """The services of the process."""

    settings: Settings
    pool: Pool
    """For requests that create, add, activate and resume."""
    lists: Pool
    """For requests that only read, with a short statement timeout."""
    stops: Pool
    """For pauses, cancellations and opt-outs alone: no other request can use up their connections."""
    publisher: AsyncPublisher
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the process begins to stop: a request that takes minutes then ends."""
    imports: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(IMPORTS_MAX))
    """Imports that may run at the same time."""
    clock: Callable[[], datetime] = _utc_now
    board: Board = field(default_factory=Board)
    """The figures of open pages. `api.pages.sources` feeds it."""
    templates: TemplateReader = field(init=False)
    """The templates of the account, which all requests share for a minute."""

    def __post_init__(self) -> None:
        """Make the reader of the account of the settings."""
        object.__setattr__(self, "templates", TemplateReader(self.settings))


def _services(request: Request) -> Services:
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


UseServices = Annotated[Services, Depends(_services)]


async def _connection(services: UseServices) -> AsyncIterator[Connection]:
    async with services.pool.connection() as connection:
        yield connection


UseConnection = Annotated[Connection, Depends(_connection, scope="function")]
"""A connection until the route returns. A client that reads the answer slowly does not hold it."""


async def _list_connection(services: UseServices) -> AsyncIterator[Connection]:
    async with services.lists.connection() as connection:
        yield connection


async def _stop_connection(services: UseServices) -> AsyncIterator[Connection]:
    async with services.stops.connection() as connection:
        yield connection


UseListConnection = Annotated[Connection, Depends(_list_connection, scope="function")]
"""The same, for a request that only reads."""
UseStopConnection = Annotated[Connection, Depends(_stop_connection, scope="function")]
"""The same, for a request that stops sending."""


def _campaign_id(campaign_id: Annotated[str, Path(description="The campaign's id (UUID)")]) -> UUID:
    try:
        return UUID(campaign_id)
    except ValueError:
        raise UnknownCampaign from None


UseCampaignId = Annotated[UUID, Depends(_campaign_id)]
