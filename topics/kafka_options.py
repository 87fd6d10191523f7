"""Judges the cluster's options once, at the start: librdkafka accepts them, and they leave our guarantees alone.

librdkafka's own errors quote values, so a problem names the option and never repeats such a text.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer

from runtime.settings import InvalidSettings, Settings
from topics.clients import consumer_config, producer_config

VARIABLE = "CAMPAIGNS_KAFKA_EXTRA"
OURS = frozenset({
    "acks", "auto.offset.reset", "bootstrap.servers", "client.id", "default.topic.config", "dr_cb", "dr_msg_cb",
    "enable.auto.commit", "enable.auto.offset.store", "enable.idempotence", "enable.partition.eof", "error_cb",
    "fetch.message.max.bytes", "group.id", "group.instance.id", "isolation.level", "log_cb", "logger",
    "max.poll.interval.ms", "message.max.bytes", "message.timeout.ms", "metadata.broker.list", "oauth_cb",
    "on_commit", "on_delivery", "partition.assignment.strategy", "partitioner", "plugin.library.paths",
    "rebalance_cb", "request.required.acks", "stats_cb", "throttle_cb", "transactional.id",
})  # fmt: skip
"""Options that this project sets, or that only code can set. They decide what is lost or repeated."""
SECRET = frozenset({"sasl.password", "ssl.key.password", "ssl.keystore.password", "sasl.oauthbearer.client.secret"})
FREQUENT = (
    "security.protocol", "sasl.mechanism", "sasl.mechanisms", "sasl.username", "sasl.password", "ssl.ca.location",
    "ssl.certificate.location", "ssl.key.location", "ssl.key.password", "enable.ssl.certificate.verification",
    "ssl.endpoint.identification.algorithm", "client.dns.lookup", "client.rack", "socket.timeout.ms",
    "socket.connection.setup.timeout.ms", "connections.max.idle.ms", "metadata.max.age.ms", "reconnect.backoff.ms",
    "reconnect.backoff.max.ms", "broker.address.family", "statistics.interval.ms", "debug", "linger.ms",
    "compression.type", "fetch.min.bytes", "fetch.wait.max.ms", "session.timeout.ms", "request.timeout.ms",
)  # fmt: skip
"""Names to suggest for a misspelled one."""
CLOSE = 0.75
"""How similar a name must be to be suggested, from 0 to 1."""
_QUOTE = "A value that contains a semicolon must be in quotation marks"


def require_kafka_options(settings: Settings) -> None:
    """Build every kind of client once, without connecting. Raises InvalidSettings naming each wrong option."""
    problems = list(_problems(settings)) or list(_without_protocol(settings)) or list(_refused_together(settings))
    if problems:
        raise InvalidSettings("\n".join(f"{VARIABLE}: {problem}" for problem in problems))


def _problems(settings: Settings) -> Iterator[str]:
    """Judge each option alone."""
    given = settings.kafka_options()
    configs = (producer_config(settings), consumer_config(settings, "check"))
    before = ""
    for number, (name, value) in enumerate(given.items(), 1):
        if name in OURS or any(config[name] != value for config in configs):
            yield f"{name} is set by campaigns and cannot be changed"
        elif not _is_known(name, value):
            yield _unknown(name, number, is_after_secret=before in SECRET)
        elif not _is_accepted(name, value):
            yield f"{name} has a value that librdkafka does not accept"
        before = name


def _without_protocol(settings: Settings) -> Iterator[str]:
    """Options of security on a connection that has none."""
    given = settings.kafka_options()
    unused = sorted(name for name in given if name.startswith(("sasl.", "ssl.")))
    if unused and given.get("security.protocol", "plaintext").lower() == "plaintext":
        yield f"without security.protocol (SASL_SSL, SSL or SASL_PLAINTEXT) nothing uses {' and '.join(unused)}"


def _unknown(name: str, number: int, *, is_after_secret: bool) -> str:
    """A name that librdkafka does not know. It is shown only if it cannot be the rest of a password."""
    close = get_close_matches(name, FREQUENT, 1, CLOSE)
    if close:
        return f"librdkafka has no option {name}; did you mean {close[0]}?"
    if "." in name and not is_after_secret:
        return f"librdkafka has no option {name}"
    return f"librdkafka does not know the name of option {number}. {_QUOTE}"


def _is_known(name: str, value: str) -> bool:
    return not _refusal({name: value}).startswith("No such configuration property")


def _is_accepted(name: str, value: str) -> bool:
    """Whether the value alone has the right form. Options that need others are judged together."""
    return f'"{name}"' not in _refusal({name: value})


def _refusal(config: Mapping[str, str]) -> str:
    """librdkafka's error for a client with these options; empty if it accepts them."""
    quiet: dict[str, Any] = {"logger": _silent(), "log_level": 0}
    try:
        Consumer({**quiet, "group.id": "check", **config})
    except KafkaException as error:
        return str(error.args[0].str())
    except Exception as error:  # noqa: BLE001 - the client raises what it likes for an option that only code can set
        return f'"{next(iter(config), "")}": {type(error).__name__}'
    return ""


def _refused_together(settings: Settings) -> Iterator[str]:
    """Build a producer and a consumer as processes do, without addresses, so that neither connects."""
    configs = ((Producer, producer_config(settings)), (Consumer, consumer_config(settings, "check")))
    for client, config in configs:
        config.pop("bootstrap.servers")
        config["logger"] = _silent()
        try:
            client(config)
        except KafkaException as error:
            yield _reason(str(error.args[0].str()), settings.kafka_options())
            return


def _reason(text: str, given: Mapping[str, str]) -> str:
    """Why librdkafka refuses options that are right one by one."""
    if "No provider for SASL mechanism" in text:
        return "sasl.mechanism is none that this librdkafka has: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"
    if "sasl.username and sasl.password must be set" in text:
        return "security.protocol needs a user: set CAMPAIGNS_KAFKA_USER and CAMPAIGNS_KAFKA_PASSWORD"
    named = sorted(name for name in given if name in text)
    if named:
        return f"librdkafka does not accept {' and '.join(named)}: a file may be missing, or a value is out of range"
    return f"librdkafka does not accept these options together: {', '.join(sorted(given))}"


def _silent() -> logging.Logger:
    """A logger that drops everything: librdkafka's warnings quote values too."""
    silent = logging.getLogger("librdkafka.check")
    silent.disabled = True
    return silent
