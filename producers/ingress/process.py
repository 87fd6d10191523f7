"""The ingress: publishes webhooks from Meta to `webhooks.raw`, and answers when Kafka has acknowledged them.

It starts without Kafka and answers 503 until Kafka is reachable. It never starts without an app secret (fail closed).
"""

from __future__ import annotations

import asyncio
import time

from producers.ingress.app import IngressApp, IngressOptions
from producers.ingress.pending_bytes import PendingBytes
from producers.ingress.server import serve_webhooks
from runtime import metrics
from runtime.collector import collecting_rarely
from runtime.process import Transient
from runtime.pulse import watched_loop
from runtime.settings import InvalidSettings, Settings
from schemas.places import Outgoing
from schemas.topics import Topic
from topics.publisher import AsyncPublisher

BODY_TIMEOUT_S = 20.0
"""3 MB in 20 s is a slow connection; Meta's is far faster."""
UNVERIFIED_BODIES_MAX = 5
"""How many bodies of full size may be received and not verified at one time. Beyond it, requests get 503."""
LARGE_SHARE = 0.75
"""The share of these bytes that large requests may use. So slow senders of large bodies cannot keep webhooks out."""
READY_KEPT_S = 1.0
"""How long an answer about Kafka is cached, so that probes cause no load."""
FLUSH_S = 10.0


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until `stop`. Requests received before it are answered."""
    secrets = tuple(secret.get_secret_value().encode() for secret in settings.webhook_app_secrets)
    if not secrets or not all(secrets):
        raise InvalidSettings("CAMPAIGNS_WEBHOOK_APP_SECRETS: is not set, so no webhook could be verified")
    topic = settings.topic(Topic.WEBHOOKS_RAW)
    # Bundles replace linger. A record that is not acknowledged in time is dropped: its requests have got 503 by then.
    publisher = AsyncPublisher(settings, linger_ms=0, message_timeout_ms=int(settings.ingress_ack_timeout_s * 1000))

    async def publish(bundle: bytes) -> None:
        await publisher.publish_batch([Outgoing(topic, None, bundle)], settings.ingress_ack_timeout_s)

    readiness = Readiness(publisher, topic, stop)
    options = IngressOptions(
        app_secrets=secrets,
        verify_token=settings.webhook_verify_token.get_secret_value().encode(),
        body_bytes_max=settings.ingress_body_bytes_max,
        unverified=PendingBytes(
            UNVERIFIED_BODIES_MAX * settings.ingress_body_bytes_max, metrics.INGRESS_UNVERIFIED_BYTES, LARGE_SHARE
        ),
        pending=PendingBytes(settings.ingress_pending_bytes_max, metrics.INGRESS_PENDING_BYTES),
        publish=publish,
        is_ready=readiness.is_ready,
    )
    ending = asyncio.Event()
    waits = [asyncio.ensure_future(_pass_on(event, ending)) for event in (stop, publisher.fatal)]
    try:
        async with watched_loop(settings, "ingress"):
            with collecting_rarely():
                await serve_webhooks(
                    IngressApp(options),
                    settings.ingress_host,
                    settings.ingress_port,
                    ending,
                    BODY_TIMEOUT_S,
                    is_port_shared=settings.ingress_port_shared,
                )
    finally:
        for wait in waits:
            wait.cancel()
        await publisher.close(FLUSH_S)
    if publisher.fatal.is_set():
        raise Transient("the Kafka producer has failed for good; a new process gets a new one")


async def _pass_on(event: asyncio.Event, ending: asyncio.Event) -> None:
    await event.wait()
    ending.set()


class Readiness:
    """Whether webhooks can be accepted now: Kafka answers and has the topic, and the process is not stopping."""

    def __init__(self, publisher: AsyncPublisher, topic: str, stop: asyncio.Event) -> None:
        self._publisher = publisher
        self._topic = topic
        self._stop = stop
        self._lock = asyncio.Lock()
        self._known_until = 0.0
        self._known = False

    async def is_ready(self) -> bool:
        """Query Kafka at most once in `READY_KEPT_S`."""
        async with self._lock:
            if time.monotonic() >= self._known_until:
                self._known = await self._publisher.is_reachable(self._topic)
                self._known_until = time.monotonic() + READY_KEPT_S
            return self._known and not self._stop.is_set()
