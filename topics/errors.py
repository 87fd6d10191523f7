"""What an error of Kafka means: the one table for it, as `tables/database.py` has one for Postgres.

The table says what an error is. How long to wait for a transient one is the caller's decision: a sink waits without
limit for a topic that is being created, and a command for an operator gives up after seconds and names the remedy.
"""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException

from runtime.failures import FailureKind
from runtime.process import Transient

KIND_BY_CODE: dict[int, FailureKind] = {
    # Sizes: no retry makes these records fit.
    KafkaError.MSG_SIZE_TOO_LARGE: FailureKind.INVALID,
    KafkaError.INVALID_MSG_SIZE: FailureKind.INVALID,
    KafkaError.RECORD_LIST_TOO_LARGE: FailureKind.INVALID,
    # The request or the configuration of this deployment is at fault.
    KafkaError.INVALID_CONFIG: FailureKind.BUG,
    KafkaError.INVALID_REQUEST: FailureKind.BUG,
    KafkaError.UNSUPPORTED_VERSION: FailureKind.BUG,
    KafkaError._INVALID_ARG: FailureKind.BUG,  # noqa: SLF001 - librdkafka names its own errors so
    KafkaError._STATE: FailureKind.BUG,  # noqa: SLF001 - as above
}
"""Error code to what it means. A code that is missing is transient: a broker restarts, moves a leader, or is away."""

MISSING_TOPIC = frozenset({
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 - librdkafka's own cache
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001 - as above
})  # fmt: skip
"""The cluster has no such topic or partition, or this broker has not learned of it yet."""

NOT_READY = MISSING_TOPIC | {
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
}
"""A partition was just created, or a leader or coordinator just moved: within seconds the same request succeeds."""

NEEDS_OPERATOR = MISSING_TOPIC | {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
}
"""Waiting does not help a command that reads a topic which exists already: an operator must act."""


def error_of(error: KafkaException | KafkaError) -> KafkaError:
    """The KafkaError itself, also out of the exception that carries it."""
    found: KafkaError = error.args[0] if isinstance(error, KafkaException) else error
    return found


def failure_kind(error: BaseException | KafkaError) -> FailureKind:
    """What `error` means. Any other error than Kafka's is a bug, unless its class says that it is transient."""
    if isinstance(error, KafkaException | KafkaError):
        return KIND_BY_CODE.get(error_of(error).code(), FailureKind.TRANSIENT)
    return FailureKind.TRANSIENT if isinstance(error, Transient) else FailureKind.BUG


def as_transient(error: KafkaException, context: str) -> Transient:
    """The Transient exception for a failed request. It raises `error` itself if that is a bug, so none is retried."""
    if failure_kind(error) is FailureKind.BUG:
        raise error
    return Transient(f"{context}: {error_of(error).str()}")


def is_too_large(error: KafkaError) -> bool:
    """Whether the record is larger than the client or the topic allows."""
    return KIND_BY_CODE.get(error.code()) is FailureKind.INVALID


def is_missing_topic(error: KafkaException | KafkaError) -> bool:
    """Whether the topic or partition does not exist, as far as the broker knows."""
    return error_of(error).code() in MISSING_TOPIC


def is_not_ready(error: KafkaException | KafkaError) -> bool:
    """Whether the same request will succeed within seconds, because the cluster is settling."""
    return error_of(error).code() in NOT_READY


def needs_operator(error: KafkaException | KafkaError) -> bool:
    """Whether only an operator can resolve it: a topic that is missing, or a permission."""
    found = error_of(error)
    return found.fatal() or found.code() in NEEDS_OPERATOR
