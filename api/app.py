"""The REST API as an ASGI app: one router per resource, one middleware in front, every error a problem."""

from __future__ import annotations

from fastapi import FastAPI

from api import campaigns, health, page, processing, recipients, retries, subscriptions
from api.access import Access
from api.problems import register
from api.services import Services

DESCRIPTION = "WhatsApp campaigns: create them, add people, send within every limit, and see their exact progress."


def make_app(services: Services) -> FastAPI:
    """Create the app for these services. The caller opens and closes them."""
    app = FastAPI(title="campaign-streams", version="0.1.0", description=DESCRIPTION, docs_url=None, redoc_url=None)
    app.state.services = services
    app.add_middleware(Access, keys=services.settings.api_keys)
    for module in (health, campaigns, recipients, retries, processing, subscriptions, page):
        app.include_router(module.router)
    register(app)
    return app
