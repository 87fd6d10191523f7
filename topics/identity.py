"""The identity of a topic."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from runtime.process import Transient
from runtime.settings import Settings
from schemas.places import TopicIdentity
from schemas.topics import Topic
from topics.clients import client_config
from topics.errors import as_transient, is_missing_topic

TIMEOUT_S = 15.0


class Identities:
    """Reads identities over one client, which stays open. A new client for each reading costs both sides more."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin: AdminClient | None = None
        self._opening = threading.Lock()

    async def identify(self, topic: Topic, timeout_s: float = TIMEOUT_S) -> TopicIdentity:
        """Read the ids of cluster and topic. Raises Transient if Kafka does not answer or has no such topic yet."""
        return await asyncio.to_thread(self._identify, self._settings.topic(topic), timeout_s)

    def _identify(self, name: str, timeout_s: float) -> TopicIdentity:
        with self._opening:
            if self._admin is None:
                self._admin = AdminClient(client_config(self._settings))
        return _identify(self._admin, name, timeout_s)


async def identify(settings: Settings, topic: Topic, timeout_s: float = TIMEOUT_S) -> TopicIdentity:
    """As `Identities.identify`, once."""
    return await Identities(settings).identify(topic, timeout_s)


def _identify(admin: AdminClient, name: str, timeout_s: float) -> TopicIdentity:
    """Read the id of the topic first, because a request for the list may create a topic that is missing.

    librdkafka 2.16 aborts the process if the answer to `describe_cluster` has no brokers. Kafka gives such an answer
    when its only broker has been frozen for some seconds. The answer to a list has the id of the cluster, too.
    """
    try:
        topics = admin.describe_topics(TopicCollection([name]), request_timeout=timeout_s)
        topic_id = topics[name].result(timeout_s).topic_id
        listed: Any = admin.list_topics(name, timeout=timeout_s)  # its stub knows no id of the cluster
    except TimeoutError as error:
        raise Transient(f"topic {name}: Kafka does not answer") from error
    except KafkaException as error:
        step = "; create topics with `campaigns topics apply`" if is_missing_topic(error) else ""
        raise Transient(f"{as_transient(error, f'topic {name}')}{step}") from error
    if listed.cluster_id is None:
        raise Transient(f"topic {name}: Kafka does not state the id of its cluster")
    return TopicIdentity(listed.cluster_id, name, str(topic_id))
