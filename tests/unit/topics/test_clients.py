"""The options of our Kafka clients for which the defaults lose records or time."""

from pydantic import SecretStr

from runtime.settings import Settings
from topics.clients import answering, consumer_config, producer_config

SETTINGS = Settings.model_validate({"kafka_bootstrap_servers": "k:1", "database_url": "postgresql://x"})
NOWHERE = SETTINGS.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})


def test_a_consumer_fetches_at_once_after_its_queue_was_full() -> None:
    """With the default of 1,000 ms the throughput of a sink was a quarter."""
    assert consumer_config(SETTINGS, "sink")["fetch.queue.backoff.ms"] <= 50


def test_offsets_move_only_when_our_code_commits() -> None:
    config = consumer_config(SETTINGS, "sink")
    assert (config["enable.auto.commit"], config["enable.auto.offset.store"]) == (False, False)


def test_a_producer_waits_for_every_replica_and_repeats_no_record() -> None:
    config = producer_config(SETTINGS)
    assert (config["acks"], config["enable.idempotence"]) == ("all", True)


def test_options_of_an_operator_override_the_defaults() -> None:
    settings = SETTINGS.model_copy(update={"kafka_extra": {"security.protocol": SecretStr("SASL_SSL")}})
    assert consumer_config(settings, "sink")["security.protocol"] == "SASL_SSL"


def test_an_unreachable_broker_does_not_answer() -> None:
    assert not answering(NOWHERE, 0.5)()
