"""Adds people to an active campaign at an even rate, also during faults.

A failed request is retried until the API answers with success, as a careful client does. So every person is added.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import httpx

from cli.demo.people import Person, people

EVERY_S = 0.25
TIMEOUT_S = 10.0
RETRY_S = 0.2
CHUNK_MAX = 500


class Crowd:
    """Generated people for campaigns. Each person is used once."""

    def __init__(self, seed: int, size: int) -> None:
        self._left = iter([person for person in people(size, seed) if not person.opted_out])

    def take(self, count: int) -> list[Person]:
        """The next people."""
        return [next(self._left) for _ in range(count)]


class SteadyLoad:
    """Adds people to one campaign, in its own thread, until `stop`."""

    def __init__(self, api_url: str, campaign: str, crowd: Crowd, per_s: float) -> None:
        self.added: list[Person] = []
        """The people whose request was answered with success."""
        self.has_open_request = threading.Event()
        """Set while a request has no answer yet."""
        self._url = f"{api_url}/api/marketing/campaigns/{campaign}/recipients"
        self._crowd = crowd
        self._per_s = per_s
        self._stopping = threading.Event()
        self._abandoned = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="steady", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Add no more people. Returns when the current request has succeeded."""
        self._stopping.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def abandon(self) -> None:
        """Add no more people. The current request may fail."""
        self._abandoned = True
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            with httpx.Client(timeout=TIMEOUT_S, trust_env=False) as client:
                for count in self._due_counts():
                    self._add(client, self._crowd.take(count))
        except BaseException as failure:  # noqa: BLE001 - raised by `stop`
            self._failure = failure

    def _due_counts(self) -> Iterator[int]:
        """The numbers of due people. `CHUNK_MAX` limits the backlog after a slow answer, so the load stays even."""
        last = time.monotonic()
        due = 0.0
        while not self._stopping.wait(EVERY_S):
            now = time.monotonic()
            due = min(due + (now - last) * self._per_s, CHUNK_MAX)
            last = now
            if due >= 1:
                yield int(due)
                due -= int(due)

    def _add(self, client: httpx.Client, group: list[Person]) -> None:
        body = {"phone_numbers": [_recipient(person) for person in group]}
        while not self._abandoned:
            self.has_open_request.set()
            try:
                answer = client.post(self._url, json=body)
            except httpx.TransportError:
                answer = None
            finally:
                self.has_open_request.clear()
            if answer is not None and answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                answer.raise_for_status()
                self.added += group
                return
            time.sleep(RETRY_S)  # the backoff of a client


def _recipient(person: Person) -> object:
    if not person.parameters:
        return person.number
    return {"phone_number": person.number, "template_parameters": list(person.parameters)}
