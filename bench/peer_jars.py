"""Writes the locks of the peers in Java: `python -m bench.peer_jars`.

Debezium runs in a worker of Kafka Connect, which loads it as a plugin with its own class loader. The plugin must have
none of the packages that it shares with the worker, and of the drivers it needs only that of Postgres. Its own
dependency `org.hibernate:hibernate-agroal` has moved to another group.
"""

from __future__ import annotations

from bench.environments import LOCKS
from stack.jars import LOGGING, write_lock

KAFKA = "4.3.1"
WORKER = (
    f"org.apache.kafka:connect-runtime:{KAFKA}",
    f"org.apache.kafka:connect-json:{KAFKA}",
    f"org.apache.kafka:connect-transforms:{KAFKA}",
    LOGGING,
)
PLUGIN = (
    "org.postgresql:postgresql:42.7.14",
    "io.debezium:debezium-connector-jdbc:3.6.0.Final",
    "org.hibernate.orm:hibernate-agroal:7.2.0.Final",
)
SHARED = (
    "org.apache.kafka",
    "com.fasterxml.jackson.core",
    "com.github.luben",
    "at.yawk.lz4",
    "org.xerial.snappy",
    "org.slf4j",
    "jakarta.ws.rs",
)
OTHER_DRIVERS = ("com.microsoft.sqlserver", "com.mysql", "com.oracle.database.jdbc", "org.mariadb.jdbc")
MOVED = ("org.hibernate",)
HEAD = "Written by `python -m bench.peer_jars`; every download is checked against it."


def main() -> None:
    """Resolve the newest jars that the pinned ones allow, and write both locks."""
    write_lock(LOCKS / "debezium-worker.lock", f"The worker of Kafka Connect. {HEAD}", WORKER)
    without = (*SHARED, *OTHER_DRIVERS, *MOVED)
    write_lock(LOCKS / "debezium-plugin.lock", f"The plugin of Debezium. {HEAD}", PLUGIN, without)


if __name__ == "__main__":
    main()
