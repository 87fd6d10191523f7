"""The OpenAPI document of the API, without its servers."""

from __future__ import annotations

from typing import Any
from unittest.mock import create_autospec

from pydantic import SecretStr

from api.app import make_app
from api.services import Services
from runtime.settings import Settings
from tables.database import Pool
from topics.publisher import AsyncPublisher


def described_api(*keys: str) -> dict[str, Any]:
    """The document of an API with these keys."""
    settings = Settings(
        kafka_bootstrap_servers="127.0.0.1:1",
        database_url=SecretStr("postgresql://127.0.0.1/none"),
        api_keys=tuple(SecretStr(key) for key in keys),
    )
    pool = create_autospec(Pool)
    return make_app(Services(settings, pool, pool, pool, create_autospec(AsyncPublisher))).openapi()
