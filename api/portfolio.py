"""The budget of people that all campaigns of the portfolio share."""

from __future__ import annotations

from fastapi import APIRouter

from api.limit_answers import PortfolioOut
from api.services import UseListConnection
from tables import portfolio

router = APIRouter(prefix="/api/marketing", tags=["campaigns"])


@router.get("/portfolio")
async def read_portfolio(connection: UseListConnection) -> PortfolioOut:
    """Read how many people all campaigns together have sent to in the last 24 hours, and how many are left."""
    return PortfolioOut.model_validate(await portfolio.read(connection))
