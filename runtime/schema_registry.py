"""Registers the JSON Schemas of our topics in a schema registry that speaks the API of Confluent.

The subject of a topic is its name and `-value`. Records stay plain JSON: they do not contain the id of their schema. A
subject gets the compatibility FORWARD, which is our promise to readers: a program with the older schema can read newer
records. The registry checks that before a new version is registered.

Source: "Schema Registry API Reference" of Confluent (subjects, compatibility, config); tried with Apicurio Registry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
import orjson

from runtime.process import Transient
from runtime.settings import Settings
from schemas.published import PUBLISHED, registered_schema_of

TIMEOUT_S = 10.0
COMPATIBILITY = "FORWARD"
CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"
ERROR_CHARACTERS_MAX = 300
_NOT_COMPATIBLE = 409
_REFUSED = (401, 403)


class RegistryRefused(Exception):
    """The registry answers, but does not do it. The text says why."""


class SubjectState(StrEnum):
    """How a schema of ours relates to its subject."""

    NEW = "new"
    """The subject does not exist."""
    PRESENT = "present"
    """The subject has this schema."""
    CHANGED = "changed"
    """The subject has other schemas, and this one is compatible with the latest."""
    INCOMPATIBLE = "incompatible"
    """It is not: readers with the latest schema of the subject could not read our records."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A subject of the registry, and our schema for it."""

    name: str
    state: SubjectState


class SchemaRegistry:
    """One registry. Each method raises Transient if it does not answer, and RegistryRefused if it refuses."""

    def __init__(self, settings: Settings) -> None:
        user, password = (
            each.get_secret_value() for each in (settings.schema_registry_user, settings.schema_registry_password)
        )
        self._client = httpx.Client(
            base_url=settings.schema_registry_url,
            auth=(user, password) if user else None,
            timeout=TIMEOUT_S,
            headers={"Accept": f"{CONTENT_TYPE}, application/json", "Content-Type": CONTENT_TYPE},
            trust_env=False,
        )
        self._schemas = {
            f"{settings.topic(each.topic)}-value": orjson.dumps(registered_schema_of(each.record)).decode()
            for each in PUBLISHED
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self._client.close()

    def compare(self) -> Iterator[Subject]:
        """Every subject of ours. Nothing is changed."""
        for name in self._schemas:
            yield Subject(name, self._state(name))

    def register(self, subject: Subject) -> None:
        """Register our schema for a subject. A schema that is there already stays as it is."""
        path = f"/subjects/{quote(subject.name, safe='')}/versions"
        self._call("POST", path, self._body(subject.name))
        if subject.state is SubjectState.NEW:
            self._call("PUT", f"/config/{quote(subject.name, safe='')}", {"compatibility": COMPATIBILITY})

    def _state(self, name: str) -> SubjectState:
        path = quote(name, safe="")
        if self._call("POST", f"/subjects/{path}", self._body(name)) is not None:
            return SubjectState.PRESENT
        if self._call("GET", f"/subjects/{path}/versions") is None:
            return SubjectState.NEW
        found = self._call("POST", f"/compatibility/subjects/{path}/versions/latest", self._body(name))
        return SubjectState.CHANGED if found and found.get("is_compatible") is True else SubjectState.INCOMPATIBLE

    def _body(self, name: str) -> dict[str, str]:
        return {"schemaType": "JSON", "schema": self._schemas[name]}

    def _call(self, method: str, path: str, body: Mapping[str, str] | None = None) -> Any:
        """The answer as JSON; None if there is no such subject or schema."""
        content = None if body is None else orjson.dumps(body)
        try:
            answer = self._client.request(method, path, content=content)
        except httpx.TransportError as error:
            raise Transient(f"the schema registry does not answer: {error}") from None
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise Transient(f"the schema registry answered with {answer.status_code}")
        if answer.status_code in _REFUSED:
            raise RegistryRefused(
                f"the schema registry refused the user and password ({answer.status_code}). Correct "
                "CAMPAIGNS_SCHEMA_REGISTRY_USER and CAMPAIGNS_SCHEMA_REGISTRY_PASSWORD"
            )
        if answer.status_code == _NOT_COMPATIBLE:
            raise RegistryRefused("another client has registered an incompatible schema at the same time. Run it again")
        if not answer.is_success:
            shown = answer.text[:ERROR_CHARACTERS_MAX]
            raise RegistryRefused(f"the schema registry answered with {answer.status_code}: {shown}")
        try:
            return orjson.loads(answer.content)
        except orjson.JSONDecodeError:
            raise RegistryRefused("the answer is not that of a schema registry. Correct the URL") from None
