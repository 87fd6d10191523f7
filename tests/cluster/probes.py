"""Signed webhooks to both ingresses at an even rate, as a load balancer passes them on.

Each probe is a status of a message that no attempt has: the sink parks it under its own id. So the row of an
acknowledged probe shows that it was not lost. Nothing here is code of the pipeline.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx

EVERY_S = 0.2
TIMEOUT_S = 15.0
"""More than the ingress takes to answer 503."""
WORKERS = 160
"""Probes in flight at most: a webhook that waits must not delay the next one."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One webhook, and the ending of its last try."""

    wamid: str
    sent_at: float
    ended_at: float
    status: int
    """The HTTP status, or 0 without an answer."""


class Probes:
    """Posts probes until the end of the block."""

    def __init__(self, urls: Sequence[str], secret: str, number_id: str) -> None:
        self.ended: list[Probe] = []
        self._urls = tuple(urls)
        self._secret = secret.encode()
        self._number_id = number_id
        # A new connection for each probe: a load balancer chooses an ingress for each request.
        self._client = httpx.Client(
            timeout=TIMEOUT_S,
            trust_env=False,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        )
        self._stopping = threading.Event()
        self._room = threading.Semaphore(WORKERS)
        self._workers: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._run, name="probes", daemon=True)

    @property
    def acknowledged(self) -> list[Probe]:
        """The probes that an ingress answered with 200."""
        return [probe for probe in self.ended if probe.status == httpx.codes.OK]

    @property
    def refused(self) -> list[Probe]:
        """The probes that no ingress acknowledged."""
        return [probe for probe in self.ended if probe.status != httpx.codes.OK]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Send no more probes, and wait for the answers."""
        self._stopping.set()
        self._thread.join()
        for worker in self._workers:
            worker.join()
        self._client.close()

    def _run(self) -> None:
        number = 0
        while not self._stopping.wait(EVERY_S):
            self._room.acquire()
            worker = threading.Thread(target=self._post, args=(number,), daemon=True)
            self._workers = [each for each in self._workers if each.is_alive()] + [worker]
            worker.start()
            number += 1

    def _post(self, number: int) -> None:
        """Post one probe: to the next ingress in turn, and to the other one if that does not acknowledge."""
        try:
            wamid, sent_at = f"wamid.probe.{uuid.uuid4().hex}", time.time()
            body = self._body(wamid, sent_at)
            first = number % len(self._urls)
            status = 0
            for url in (*self._urls[first:], *self._urls[:first]):
                status = self._answer(url, body)
                if status == httpx.codes.OK:
                    break
            self.ended.append(Probe(wamid, sent_at, time.time(), status))
        finally:
            self._room.release()

    def _answer(self, url: str, body: bytes) -> int:
        signature = "sha256=" + hmac.new(self._secret, body, hashlib.sha256).hexdigest()
        headers = {"X-Hub-Signature-256": signature, "Content-Type": "application/json"}
        try:
            return self._client.post(url, content=body, headers=headers).status_code
        except httpx.TransportError:
            return 0

    def _body(self, wamid: str, at: float) -> bytes:
        status = {"id": wamid, "status": "delivered", "timestamp": str(int(at)), "recipient_id": "15550001111"}
        value = {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": "15550000000", "phone_number_id": self._number_id},
            "statuses": [status],
        }
        change = {"field": "messages", "value": value}
        entry = {"id": "1", "changes": [change]}
        return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
