"""The HTTP client of the demo for our REST API, as users have it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import Any, Self

import httpx

from cli.demo.people import Person

RECIPIENTS_PER_REQUEST = 1000
TIMEOUT_S = 30.0


class Conversation:
    """A client of one base URL; an unsuccessful answer raises httpx.HTTPStatusError."""

    def __init__(self, url: str, key: str = "") -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.client = httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False, headers=headers)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.client.close()

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Send one request with a JSON body, and return the JSON of its answer."""
        answer = self.client.request(method, path, json=body) if body is not None else self.client.request(method, path)
        answer.raise_for_status()
        return answer.json()


UNSTOPPABLE: Mapping[str, object] = MappingProxyType({
    "canary": False,
    **dict.fromkeys(
        ("failure_limit_percent", "opt_out_limit_percent", "block_limit_percent", "unknown_limit_percent"), 100
    ),
})  # fmt: skip
"""A demo and the tests of faults let many messages fail, and must not be stopped by it."""


class CampaignApi(Conversation):
    """The REST API."""

    def create(self, name: str) -> str:
        """Create a campaign; returns its id."""
        body = {"name": name, "template_name": "demo_offer", "language_code": "en_US", **UNSTOPPABLE}
        return str(self.call("POST", "/api/marketing/campaigns", body)["id"])

    def add(self, campaign: str, people: Sequence[Person]) -> int:
        """Add recipients, some with template parameters; returns how many were added."""
        added = 0
        for start in range(0, len(people), RECIPIENTS_PER_REQUEST):
            numbers = [_recipient(person) for person in people[start : start + RECIPIENTS_PER_REQUEST]]
            path = f"/api/marketing/campaigns/{campaign}/recipients"
            added += int(self.call("POST", path, {"phone_numbers": numbers})["added"])
        return added

    def opt_out(self, people: Iterable[Person]) -> None:
        """Unsubscribe people."""
        for person in people:
            self.call("PUT", f"/api/marketing/subscriptions/{person.number}", {"subscribed": False})

    def activate(self, campaign: str) -> None:
        """Start the campaign."""
        self.call("POST", f"/api/marketing/campaigns/{campaign}/activate")

    def stats(self, campaign: str) -> dict[str, Any]:
        """The campaign's stats."""
        return dict(self.call("GET", f"/api/marketing/campaigns/{campaign}/stats"))


def _recipient(person: Person) -> object:
    if not person.parameters:
        return person.number
    return {"phone_number": person.number, "template_parameters": list(person.parameters)}
