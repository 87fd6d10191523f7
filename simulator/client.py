"""A client of the control endpoints: it reads the ledger, forces outcomes, and switches faults on and off."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import httpx
import orjson

TIMEOUT_S = 30.0


class SimulatorClient:
    """Calls the control endpoints at a base URL. An unsuccessful answer raises httpx.HTTPStatusError."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self._http.close()

    def state(self) -> dict[str, Any]:
        """Its counters."""
        return dict(self._call("GET", "state"))

    def hold(self, seconds: float) -> None:
        """Hold all answers from now on."""
        self._call("POST", "hold", {"seconds": seconds})

    def release(self) -> None:
        """Release all held answers."""
        self._call("POST", "release")

    def unanswered(self) -> list[dict[str, Any]]:
        """The requests that it has received and not answered."""
        return list(self._call("GET", "unanswered")["unanswered"])

    def ledger(self) -> Iterator[dict[str, Any]]:
        """Every request ever received, in order."""
        with self._http.stream("GET", "/_simulator/ledger") as answer:
            answer.raise_for_status()
            for line in answer.iter_lines():
                yield orjson.loads(line)

    def add_rule(self, outcome: str, **settings: object) -> None:
        """Force an outcome; `settings` are those of `simulator.config.Rule`.

        Examples: `add_rule("reject", code=190)`, `add_rule("reject", code=132015, template="promo")`,
        `add_rule("foreign", http_status=403, content_type="text/html", body="<html>...")`, `add_rule("hang")`.
        """
        self._call("POST", "rules", {"outcome": outcome, **settings})

    def remove_rules(self, name: str | None = None) -> None:
        """Remove the rules with this name, or all rules."""
        self._call("DELETE", "rules", parameters={} if name is None else {"name": name})

    def send_event(self, kind: str, **settings: object) -> dict[str, Any]:
        """Send the webhook of an event; `settings` are those of its model in `simulator.events.requests`.

        Examples: `send_event("message", number="4915112345678", text="STOP")`,
        `send_event("message", number=..., type="button", text="Stop", payload="STOP", reply_to=wamid)`,
        `send_event("preference", number=..., value="stop")`, `send_event("template_status", name="promo",
        event="PAUSED")`, `send_event("account_update", event="DISABLED_UPDATE")`.
        """
        return dict(self._call("POST", f"events/{kind}", settings))

    def start_outage(self, kind: str, seconds: float) -> None:
        """Stop the API for a time: `abort` cuts connections, `503` answers 503, `refuse` refuses connections."""
        self._call("POST", "outage", {"side": "api", "kind": kind, "seconds": seconds})

    def end_outage(self) -> None:
        """End an outage of the API."""
        self.start_outage("abort", 0.0)

    def pause_webhooks(self, seconds: float) -> None:
        """Send no webhooks for this time. 0 seconds end the pause."""
        self._call("POST", "outage", {"side": "webhooks", "seconds": seconds})

    def _call(self, method: str, endpoint: str, body: object = None, parameters: dict[str, str] | None = None) -> Any:
        """Send one control request, and return the JSON of its answer."""
        path = f"/_simulator/{endpoint}"
        answer = self._http.request(
            method, path, content=orjson.dumps(body) if body is not None else None, params=parameters
        )
        answer.raise_for_status()
        return answer.json()
