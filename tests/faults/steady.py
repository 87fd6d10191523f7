"""Steady load: people added to an active campaign at an even rate, whatever happens meanwhile.

Nobody is forgotten: a request without an answer is made again until the API says 200, as a careful client does.
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
    """People, each given out once."""

    def __init__(self, seed: int, size: int) -> None:
        self._left = iter([person for person in people(size, seed) if not person.opted_out])

    def take(self, count: int) -> list[Person]:
        """So many whom nobody had before."""
        return [next(self._left) for _ in range(count)]


class Steady:
    """Adds people to one campaign in a thread of its own, until `stop`."""

    def __init__(self, api_url: str, campaign: str, crowd: Crowd, per_s: float) -> None:
        self.added: list[Person] = []
        """Whom the API has answered for."""
        self.is_asking = threading.Event()
        """A request is on its way at this moment."""
        self._url = f"{api_url}/api/marketing/campaigns/{campaign}/recipients"
        self._crowd = crowd
        self._per_s = per_s
        self._stopping = threading.Event()
        self._abandoned = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="steady", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Add no more; return when everybody asked for is added."""
        self._stopping.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def abandon(self) -> None:
        """Add no more, whatever was asked for."""
        self._abandoned = True
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            with httpx.Client(timeout=TIMEOUT_S, trust_env=False) as client:
                for count in self._portions():
                    self._add(client, self._crowd.take(count))
        except BaseException as failure:  # noqa: BLE001 - raised by `stop`
            self._failure = failure

    def _portions(self) -> Iterator[int]:
        """How many are due now; what a slow answer held up is not made good, so that the load stays steady."""
        last = time.monotonic()
        owed = 0.0
        while not self._stopping.wait(EVERY_S):
            now = time.monotonic()
            owed = min(owed + (now - last) * self._per_s, CHUNK_MAX)
            last = now
            if owed >= 1:
                yield int(owed)
                owed -= int(owed)

    def _add(self, client: httpx.Client, some: list[Person]) -> None:
        body = {"phone_numbers": [_recipient(person) for person in some]}
        while not self._abandoned:
            self.is_asking.set()
            try:
                answer = client.post(self._url, json=body)
            except httpx.TransportError:
                answer = None
            finally:
                self.is_asking.clear()
            if answer is not None and answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                answer.raise_for_status()
                self.added += some
                return
            time.sleep(RETRY_S)  # a client's backoff, not a wait for a condition


def _recipient(person: Person) -> object:
    if not person.parameters:
        return person.number
    return {"phone_number": person.number, "template_parameters": list(person.parameters)}
