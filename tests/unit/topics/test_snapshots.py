"""Closing the publisher of snapshots does not hide the error that caused the close."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from runtime.process import Transient
from runtime.settings import Settings
from topics import snapshots
from topics.snapshots import SnapshotPublisher

NOWHERE = "127.0.0.1:1"
SETTINGS = Settings.model_validate(
    {"kafka_bootstrap_servers": NOWHERE, "database_url": f"postgresql://x@{NOWHERE}/x", "stall_limit_s": 1.2}
)


async def test_an_error_at_the_close_does_not_hide_the_cause_of_the_close(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Unable:
        def flush(self, _timeout_s: float) -> int:
            raise KafkaException(KafkaError(KafkaError._FENCED))

    monkeypatch.setattr(snapshots, "Producer", lambda _config: Unable())
    publisher = SnapshotPublisher(SETTINGS)

    async def failing() -> None:
        try:
            raise Transient("the reason")
        finally:
            await publisher.close()

    with pytest.raises(Transient, match="the reason"):
        await failing()
