"""The identity of a topic."""

from __future__ import annotations

import asyncio

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from runtime.process import Transient
from runtime.settings import Settings
from schemas.places import TopicIdentity
from schemas.topics import Topic
from topics.clients import client_config
from topics.errors import as_transient, is_missing_topic

TIMEOUT_S = 15.0


async def identify(settings: Settings, topic: Topic, timeout_s: float = TIMEOUT_S) -> TopicIdentity:
    """Read the ids of cluster and topic. Raises Transient if Kafka does not answer or has no such topic yet."""
    return await asyncio.to_thread(_identify, settings, settings.topic(topic), timeout_s)


def _identify(settings: Settings, name: str, timeout_s: float) -> TopicIdentity:
    admin = AdminClient(client_config(settings))
    try:
        cluster = admin.describe_cluster(request_timeout=timeout_s).result(timeout_s)
        topics = admin.describe_topics(TopicCollection([name]), request_timeout=timeout_s)
        topic_id = topics[name].result(timeout_s).topic_id
    except TimeoutError as error:
        raise Transient(f"topic {name}: Kafka does not answer") from error
    except KafkaException as error:
        step = "; create topics with `campaigns topics apply`" if is_missing_topic(error) else ""
        raise Transient(f"{as_transient(error, f'topic {name}')}{step}") from error
    return TopicIdentity(cluster.cluster_id, name, str(topic_id))
