"""Three Kafka brokers on loopback addresses of their own. Each is a controller too, and holds a replica of all data."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from stack.embedded import progress
from stack.guarded import GuardedProcess
from stack.jars import kafka_jars
from stack.kafka import SETTINGS, broker_program, formatted_storage, new_id, write_broker
from stack.kafka_probe import KafkaProbe
from stack.ports import free_ports, is_listening
from tests.support.waiting import eventually

HEAP_MB = 320
START_DEADLINE_S = 90.0
IN_SYNC_DEADLINE_S = 90.0
STOP_DEADLINE_S = 30.0
QUERY_TIMEOUT_S = 3.0

REPLICATED = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": "3",
    "share.coordinator.state.topic.min.isr": "2",
    # Kafka's own value. It delays the first member of a group that is empty.
    "group.initial.rebalance.delay.ms": "3000",
}
"""The settings that differ from those of the single embedded broker."""


class Broker:
    """One broker. Its data and its address survive a restart."""

    def __init__(self, node: int, folder: Path) -> None:
        self.node = node
        self.host = f"127.0.0.{node + 1}"
        self.folder = folder
        self.client_port, self.controller_port = free_ports(2, self.host)
        self._child: GuardedProcess | None = None

    @property
    def address(self) -> str:
        """The address for clients."""
        return f"{self.host}:{self.client_port}"

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self._child is not None and self._child.poll() is None

    def begin(self, cluster_id: str, voters: str) -> None:
        """Start the process. It answers after a majority of the controllers has started."""
        listeners = f"PLAINTEXT://{self.address},CONTROLLER://{self.host}:{self.controller_port}"
        settings: Mapping[str, str] = {
            **SETTINGS,
            **REPLICATED,
            "node.id": str(self.node),
            "listeners": listeners,
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "controller.quorum.voters": voters,
        }
        jars = kafka_jars(progress(is_terminal=False))
        write_broker(self.folder, jars, formatted_storage(jars), settings, cluster_id)
        log = self.folder.parent / f"broker-{self.node}.log"
        self._child = GuardedProcess(broker_program(self.folder, log, heap_mb=HEAP_MB))

    def wait(self) -> None:
        """Wait until the broker answers."""

        def is_there() -> bool:
            assert self.is_running, f"broker {self.node} ended: see its log in {self.folder.parent}"
            return is_listening(self.client_port, self.host) and KafkaProbe(self.address, QUERY_TIMEOUT_S)()

        eventually(is_there, f"broker {self.node} answers", START_DEADLINE_S)

    def kill(self) -> None:
        """Send SIGKILL and wait for the end."""
        assert self._child is not None
        self._child.signal(signal.SIGKILL)
        self._child.wait(STOP_DEADLINE_S)

    def stop(self) -> None:
        """Stop the broker in order: it hands its partitions over."""
        if self._child is not None:
            self._child.stop()


class Brokers:
    """The cluster of three."""

    def __init__(self, folders: tuple[Path, Path, Path]) -> None:
        self._cluster_id = new_id()
        self.all = tuple(Broker(node, folder) for node, folder in enumerate(folders, start=1))
        self._voters = ",".join(f"{each.node}@{each.host}:{each.controller_port}" for each in self.all)

    @property
    def bootstrap_servers(self) -> str:
        """The addresses of all brokers."""
        return ",".join(broker.address for broker in self.all)

    def start(self, *brokers: Broker) -> None:
        """Start these brokers, or all, at once, and wait until each answers."""
        for broker in brokers or self.all:
            broker.begin(self._cluster_id, self._voters)
        for broker in brokers or self.all:
            broker.wait()

    def restore(self) -> None:
        """Start the brokers that do not run, and wait until every replica is in sync."""
        if ended := [broker for broker in self.all if not broker.is_running]:
            self.start(*ended)
        self.wait_until_in_sync()

    def wait_until_in_sync(self) -> None:
        """Wait until each partition has three replicas in sync."""
        eventually(self._is_in_sync, "every replica is in sync", IN_SYNC_DEADLINE_S, every_s=0.2)

    def rolling_restart(self) -> None:
        """Restart one broker after another, each when all replicas are in sync again."""
        for broker in self.all:
            broker.stop()
            self.start(broker)
            self.wait_until_in_sync()

    def close(self) -> None:
        """Stop all brokers."""
        for broker in self.all:
            broker.stop()

    def _is_in_sync(self) -> bool:
        client = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        try:
            listed = client.list_topics(timeout=QUERY_TIMEOUT_S)
        except KafkaException:
            return False
        partitions = [each for topic in listed.topics.values() for each in topic.partitions.values()]
        return len(listed.brokers) == len(self.all) and all(len(each.isrs) == len(self.all) for each in partitions)
