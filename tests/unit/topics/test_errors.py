"""The table of Kafka's errors."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from runtime.failures import FailureKind
from topics.errors import failure_kind, is_missing_topic, is_not_ready, is_too_large, needs_operator
from topics.publisher import PublishFailed


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN)), FailureKind.TRANSIENT),
        (KafkaException(KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION)), FailureKind.TRANSIENT),
        (KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)), FailureKind.TRANSIENT),
        (KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)), FailureKind.INVALID),
        (KafkaException(KafkaError(KafkaError._INVALID_ARG)), FailureKind.BUG),
        (PublishFailed("x"), FailureKind.TRANSIENT),
        (ValueError("x"), FailureKind.BUG),
    ],
)
def test_every_error_has_one_meaning(error: Exception, kind: FailureKind) -> None:
    assert failure_kind(error) is kind


def test_a_missing_topic_is_not_ready_for_a_stage_and_needs_an_operator_for_a_command() -> None:
    missing = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)
    assert is_missing_topic(missing)
    assert is_not_ready(missing)
    assert needs_operator(missing)
    moved = KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION)
    assert is_not_ready(moved)
    assert not needs_operator(moved)


def test_only_sizes_are_too_large() -> None:
    assert is_too_large(KafkaError(KafkaError.INVALID_MSG_SIZE))
    assert not is_too_large(KafkaError(KafkaError._MSG_TIMED_OUT))
