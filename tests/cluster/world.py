"""The environment of the cluster tests: three brokers, two databases, and two of each of our processes."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from cli.demo.clients import CampaignApi
from cli.pipeline import LOOPBACK, child_environment, process_child, simulator_child
from cli.preparations import apply_topics, migrate_database
from runtime.settings import PREFIX, read_settings
from simulator.client import SimulatorClient
from stack.ports import free_ports
from stack.supervisor import ChildEvent, Supervisor
from tests.cluster.brokers import Brokers
from tests.cluster.databases import Databases
from tests.cluster.disks import Disk
from tests.cluster.probes import Probes
from tests.faults.proxy import Proxy
from tests.faults.servers import folder_for_servers
from tests.faults.world import NUMBER_ID, ProcessWorld, noting, simulator_config
from tests.support.waiting import eventually

NAMES = (
    *("sink-1", "sink-2", "stats-publisher-1", "stats-publisher-2", "reconciler-1", "reconciler-2"),
    *("ingress-1", "ingress-2", "sender-1", "sender-2", "scheduler-1", "scheduler-2", "api-1", "api-2"),
)
"""The processes in the order of their start: consumers first."""
READY_DEADLINE_S = 90.0
PROBE_TIMEOUT_S = 5.0


@dataclass(kw_only=True)
class ClusterWorld(ProcessWorld):
    """The cluster and its processes. Each process has a port of its own for the probes of its platform."""

    brokers: Brokers
    databases: Databases
    broker_disks: Sequence[Disk]
    database_disks: Mapping[str, Disk]
    """By the name of the database."""
    ingresses: Sequence[str]
    """The addresses for webhooks, one of each ingress."""

    @property
    def direct_url(self) -> str:
        """The address of the server that is the primary now."""
        return self.databases.primary_url

    def probes(self) -> Probes:
        """Webhooks to both ingresses."""
        return Probes(self.ingresses, self.settings.webhook_app_secrets[0].get_secret_value(), NUMBER_ID)

    def is_ready(self, name: str) -> bool:
        """Whether a process is ready, as its platform sees it."""
        try:
            return httpx.get(self.urls[name], timeout=PROBE_TIMEOUT_S, trust_env=False).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def wait_until_ready(self) -> None:
        """Wait until every process is ready."""
        for name in self.processes:
            eventually(lambda name=name: self.is_ready(name), f"{name} is ready", READY_DEADLINE_S)  # type: ignore[misc]

    def rolling_restart(self) -> None:
        """Restart one process after another, each when the one before it is ready, as a platform does."""
        for name in self.processes:
            self.supervisor.restart(name)
            eventually(lambda name=name: self.is_ready(name), f"{name} is ready", READY_DEADLINE_S)  # type: ignore[misc]

    def restore(self) -> None:
        """End the loads and repair what a failed test has left."""
        self.unload()
        for disk in (*self.broker_disks, *self.database_disks.values()):
            disk.empty()
        self.brokers.restore()
        self.databases.restore()


@contextmanager
def start_cluster() -> Iterator[ClusterWorld]:
    """Start the cluster and the processes."""
    with ExitStack() as ending:
        folder = ending.enter_context(folder_for_servers())
        logs = Path(os.environ.get("FAULTS_LOGS") or folder / "logs")
        logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        disks = [Disk(folder / name) for name in ("broker-1", "broker-2", "broker-3", "east", "west")]
        for disk in disks:
            ending.callback(disk.close)
        brokers = Brokers((disks[0].folder / "kafka", disks[1].folder / "kafka", disks[2].folder / "kafka"))
        ending.callback(brokers.close)
        databases = Databases(disks[3].folder, disks[4].folder)
        ending.callback(databases.close)
        brokers.start()
        databases.start()
        yield _start_processes(brokers, databases, disks, logs, ending)


def _start_processes(
    brokers: Brokers, databases: Databases, disks: Sequence[Disk], logs: Path, ending: ExitStack
) -> ClusterWorld:
    simulator_port, *ports = free_ports(5 + len(NAMES))
    ingress_ports, api_ports, probe_ports = ports[:2], ports[2:4], dict(zip(NAMES, ports[4:], strict=True))
    for_webhooks = ending.enter_context(Proxy(*ingress_ports))
    for_requests = ending.enter_context(Proxy(*api_ports))
    variables = _variables(brokers, databases, simulator_port)
    settings = read_settings(variables, logs)
    migrate_database(settings)
    apply_topics(settings)
    environment = child_environment(variables)
    events: list[ChildEvent] = []
    supervisor = ending.enter_context(Supervisor(logs, noting(events)))
    config = simulator_config(settings, simulator_port, for_webhooks.port)
    supervisor.start(simulator_child(config, logs / "simulator.json", environment, "tidy"))
    for name in NAMES:
        own = {f"{PREFIX}METRICS_PORT": str(probe_ports[name])}
        kind, _, number = name.rpartition("-")
        if kind in (served := {"ingress": ingress_ports, "api": api_ports}):
            own[f"{PREFIX}{kind.upper()}_PORT"] = str(served[kind][int(number) - 1])
        supervisor.start(process_child(name, {**environment, **own}, logs))
    found = ClusterWorld(
        settings=settings,
        supervisor=supervisor,
        simulator=ending.enter_context(SimulatorClient(f"http://{LOOPBACK}:{simulator_port}")),
        api=ending.enter_context(CampaignApi(f"http://{LOOPBACK}:{for_requests.port}")),
        urls={name: f"http://{LOOPBACK}:{port}/ready" for name, port in probe_ports.items()},
        environment=environment,
        folder=logs,
        events=events,
        processes=NAMES,
        brokers=brokers,
        databases=databases,
        broker_disks=disks[:3],
        database_disks={"east": disks[3], "west": disks[4]},
        ingresses=[f"http://{LOOPBACK}:{port}/webhooks/whatsapp" for port in ingress_ports],
    )
    found.wait_until_ready()
    return found


def _variables(brokers: Brokers, databases: Databases, simulator_port: int) -> dict[str, str]:
    values: dict[str, object] = {
        "KAFKA_BOOTSTRAP_SERVERS": brokers.bootstrap_servers,
        "DATABASE_URL": databases.url,
        "DEPLOYMENT": "cluster",
        "WHATSAPP_API_URL": f"http://{LOOPBACK}:{simulator_port}",
        "WHATSAPP_ACCESS_TOKEN": secrets.token_urlsafe(24),
        "WHATSAPP_PHONE_NUMBER_ID": NUMBER_ID,
        "WHATSAPP_MPS": 100,
        "CALLBACK_SECRET": secrets.token_urlsafe(24),
        "WEBHOOK_APP_SECRETS": secrets.token_hex(16),
        "WEBHOOK_VERIFY_TOKEN": secrets.token_urlsafe(16),
        "SEND_WINDOW": 32,
        "SEND_TIMEOUT_S": 3.0,
        "LEASE_S": 10.0,
        "STALL_LIMIT_S": 60.0,
        "TIME_SCALE": 200.0,
    }
    return {f"{PREFIX}{name}": str(value) for name, value in values.items()}
