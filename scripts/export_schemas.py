"""The public description of the records: a JSON Schema of each record, and an AsyncAPI document of their topics.

`python -m scripts.export_schemas [FOLDER]` writes them, by default to `docs/schemas/`. A test holds the files equal to
the models.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from domain.traces import HEADER
from schemas.codec import PRODUCER
from schemas.published import PUBLISHED, PublishedRecord, schema_of
from schemas.topics import BY_NAME, DAY_MS, UNLIMITED, USES, Topic, TopicSpec

FOLDER = Path("docs/schemas")
ASYNCAPI = "asyncapi.json"
KAFKA_BINDING = "0.5.0"


def documents() -> dict[str, str]:
    """Every file by its name."""
    contents = {each.file: schema_of(each.record) for each in PUBLISHED}
    contents[ASYNCAPI] = _asyncapi()
    return {name: json.dumps(content, indent=2, ensure_ascii=False) + "\n" for name, content in contents.items()}


def _asyncapi() -> dict[str, Any]:
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": PRODUCER.partition("/")[0],
            "version": PRODUCER.partition("/")[2],
            "description": "The records of the pipeline. Deployments may put a prefix before each topic's name.",
        },
        "defaultContentType": "application/json",
        "channels": {each.topic.value: _channel(each, BY_NAME[each.topic]) for each in PUBLISHED},
        "operations": {
            f"send{each.record.__name__}": {
                "action": "send",
                "channel": {"$ref": f"#/channels/{each.topic.value}"},
                "messages": [{"$ref": f"#/channels/{each.topic.value}/messages/{each.record.__name__}"}],
            }
            for each in PUBLISHED
        },
        "components": {"messages": {each.record.__name__: _message(each) for each in PUBLISHED}},
    }


def _channel(published: PublishedRecord, spec: TopicSpec) -> dict[str, Any]:
    name = published.record.__name__
    is_transactional = published.topic in {Topic.CAMPAIGN_STATS, Topic.CAMPAIGN_TIMELINE}
    return {
        "address": published.topic.value,
        "description": " ".join(
            [
                f"Records that cannot be processed go to `{published.topic.dead}`.",
                _kept(spec),
                "A record may arrive more than once.",
                *(["It is written in transactions: read it with isolation.level=read_committed."] * is_transactional),
            ]
        ),
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        "bindings": {
            "kafka": {
                "topic": published.topic.value,
                "partitions": spec.partitions,
                "topicConfiguration": {
                    "cleanup.policy": spec.cleanup_policy.split(","),
                    "retention.ms": spec.retention_ms,
                    "max.message.bytes": spec.record_bytes_max,
                },
                "bindingVersion": KAFKA_BINDING,
            }
        },
    }


def _kept(spec: TopicSpec) -> str:
    if spec.is_compacted:
        days = "" if spec.retention_ms == UNLIMITED else f" for {spec.retention_ms / DAY_MS:g} day(s)"
        return f"Compacted: the last record of each key is kept{days}."
    if spec.retention_ms == UNLIMITED:
        return "Records are kept without limit."
    return f"Records are kept for {spec.retention_ms / DAY_MS:g} day(s)."


TRACED = (Topic.SEND_JOBS, Topic.RECIPIENT_EVENTS)
TRACE_HEADERS = {
    "type": "object",
    "properties": {
        HEADER: {
            "type": "string",
            "description": "The trace of the attempt, as W3C Trace Context: only if traces are on and it is sampled.",
        }
    },
}


def _message(published: PublishedRecord) -> dict[str, Any]:
    return {
        "name": published.record.__name__,
        "contentType": "application/json",
        **({"headers": TRACE_HEADERS} if published.topic in TRACED else {}),
        "payload": {"$ref": f"./{published.file}"},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": USES[published.topic].key},
                "bindingVersion": KAFKA_BINDING,
            }
        },
    }


def main() -> None:
    """Write every file."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in documents().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
