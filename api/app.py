"""The REST API as an ASGI app: one router per resource, one middleware in front, every error a problem."""

from __future__ import annotations

from functools import cache, partial

from fastapi import FastAPI

from api import (
    campaigns,
    costs,
    documentation,
    frequency,
    health,
    numbers,
    plans,
    portfolio,
    processing,
    recipient_imports,
    recipients,
    retries,
    subscriptions,
    templates,
    test_sends,
)
from api.access import Access
from api.measuring import Measuring
from api.openapi import document
from api.pages import (
    actions,
    assets,
    clones,
    cost,
    imports,
    live,
    people,
    plan,
    routes,
    setting_forms,
    sign_in,
    unknown,
)
from api.pages import test_sends as trials
from api.problems import register
from api.services import Services
from schemas.codec import PRODUCER

PAGES = (setting_forms, actions, clones, imports, trials, unknown, people, plan, cost, routes, live, sign_in, assets)


def make_app(services: Services) -> FastAPI:
    """Create the app for these services. The caller opens and closes them."""
    name, _, version = PRODUCER.partition("/")
    app = FastAPI(
        title=name, version=version, docs_url=None, redoc_url=None, generate_unique_id_function=lambda route: route.name
    )
    app.state.services = services
    app.add_middleware(Access, keys=services.settings.api_keys)
    app.add_middleware(Measuring)  # the last one added is the outermost
    resources = (health, campaigns, recipient_imports, recipients, retries, processing, subscriptions, documentation)
    for module in (*resources, plans, costs, portfolio, numbers, frequency, templates, test_sends, *PAGES):
        app.include_router(module.router)
    app.include_router(templates.of_campaigns)
    register(app)
    described = partial(document, app, needs_key=bool(services.settings.api_keys))
    app.openapi = cache(described)  # type: ignore[method-assign] # FastAPI documents this way of replacing it
    return app
