"""Asks a Kafka broker for an answer. It may listen before it has joined its cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

PROBED_TOPIC = "__consumer_offsets"
"""A request that names a topic is answered with little, also if the broker does not have it."""


class KafkaProbe:
    """One broker, over one client. A new one for each request would cost both sides more than the request."""

    def __init__(self, bootstrap_servers: str, timeout_s: float) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._timeout_s = timeout_s
        self._client: AdminClient | None = None

    def __call__(self) -> bool:
        """Whether the broker answers within the time."""
        from confluent_kafka import KafkaException  # noqa: PLC0415 - `prepare` does not need it
        from confluent_kafka.admin import AdminClient  # noqa: PLC0415 - as above

        if self._client is None:
            self._client = AdminClient(
                {"bootstrap.servers": self._bootstrap_servers, "log_level": 0}
            )  # failures are expected
        try:
            return bool(self._client.list_topics(PROBED_TOPIC, timeout=self._timeout_s).brokers)
        except KafkaException:
            self._client = None  # a broker that returns is found at once by a new client
            return False
