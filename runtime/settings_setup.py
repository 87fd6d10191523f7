"""Variables that only the set-up of the embedded servers reads, before there are settings (`stack/environment.py`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

SETUP_ONLY = {
    "cache_dir": "Folder of the downloaded files.",
    "maven_url": "A mirror of Maven Central for Kafka's jars.",
    "embedded_kafka": "Version of the embedded Kafka: 4.3.1 or 4.4.0.",
    "embedded_postgres": "Major version of the embedded PostgreSQL: 18 or 16.",
}
"""The variables without their prefix, with their meanings."""
EMBEDDED_KAFKA = ("4.3.1", "4.4.0")
"""The versions of Kafka that have a lock in `stack/`."""
EMBEDDED_POSTGRES = ("18", "16")
"""The major versions of PostgreSQL that the package of its binaries has."""


def problems(given: Mapping[str, str | None], prefix: str) -> Iterator[str]:
    """A problem for each wrong variable, so that none is found after servers were started. None: it is not set."""
    for field, value in given.items():
        name = f"{prefix}{field.upper()}"
        if value is None:
            continue
        if not value.strip():
            yield f"{name}: is empty: give it a value, or remove the variable"
        elif field == "embedded_postgres" and value not in EMBEDDED_POSTGRES:
            yield f"{name}: must be {' or '.join(EMBEDDED_POSTGRES)}"
        elif field == "embedded_kafka" and value not in EMBEDDED_KAFKA:
            yield f"{name}: must be {' or '.join(EMBEDDED_KAFKA)}"
        elif field == "maven_url" and not value.startswith(("https://", "http://")):
            yield f"{name}: expects an address that starts with https:// or http://"
