"""The environment of the fault tests: servers behind proxies, supervised processes, and the simulator.

A test connects to Postgres and to the simulator directly, so a fault of a proxy does not affect its measurements.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psycopg

from cli.demo.clients import CampaignApi
from cli.pipeline import LOOPBACK, child_environment, process_child, simulator_child, wait_until_ready
from cli.preparations import apply_topics, migrate_database
from runtime.settings import PREFIX, Settings, read_settings
from simulator.client import SimulatorClient
from stack.ports import free_ports
from stack.supervisor import Child, ChildEvent, Supervisor
from tests.faults.proxy import Proxy
from tests.faults.servers import KafkaServer, PostgresServer, folder_for_servers
from tests.support.paths import ROOT
from tests.support.waiting import eventually
from verdict.rows import JudgeConnection

NUMBER_ID = "106540352242922"
NAMES = (
    *("sink-1", "sink-2", "stats-publisher-1", "reconciler-1", "reconciler-2", "ingress-1"),
    *("sender-1", "sender-2", "scheduler-1", "scheduler-2", "api-1"),
)
"""The processes in the order of their start: consumers first. Ingress and API have one process each."""
VERSIONS = {"sender-1": "v25.0", "sender-2": "v24.0"}
"""Each sender uses a different version of the API, so the ledger of the simulator shows the sender of a request."""
KINDS = tuple(dict.fromkeys(name.rpartition("-")[0] for name in NAMES))
SEND_WINDOW = 32
SEND_TIMEOUT_S = 3.0
LEASE_S = 5.0
STALL_LIMIT_S = 20.0
TIME_SCALE = 200.0
"""A backoff of 10 minutes takes 3 seconds."""
MPS = 400
"""More than the load, so that the backlog after a fault can be sent."""

SIMULATED = {
    "draws_by": "to",
    "answers": {"latency": {"median_s": 0.06, "p99_s": 0.3}},
    "statuses": {
        "sent": {"median_s": 0.1, "p99_s": 0.3},
        "delivered": {"median_s": 0.2, "p99_s": 0.6},
        "read": {"median_s": 0.3, "p99_s": 1.0},
        "read_rate": 0.8,
        "errors": {"131026": 0.01, "131000": 0.01},
        "duplicate_share": 0.05,
        "disorder_share": 0.05,
        "overtaking_share": 0.02,
        "late": {"median_s": 0.3, "p99_s": 1.0},
        "overtaken": {"median_s": 0.2, "p99_s": 0.4},
    },
    "webhooks": {"single_share": 0.2, "several_entries_share": 0.1, "retry_max": 2.0, "timeout_s": 15.0},
}


class Load(Protocol):
    """What a thread does to the processes while faults happen."""

    def abandon(self) -> None:
        """End it, also after a failed test."""


@dataclass(kw_only=True)
class ProcessWorld(ABC):
    """The running processes, with their addresses and logs. A subclass has the servers."""

    settings: Settings
    supervisor: Supervisor
    simulator: SimulatorClient
    api: CampaignApi
    urls: Mapping[str, str]
    environment: Mapping[str, str] = field(repr=False)
    folder: Path
    events: list[ChildEvent]
    processes: tuple[str, ...]
    """The names of our processes in the order of their start."""
    loads: list[Load] = field(default_factory=list)
    """The running loads. A failed test must not leave one behind."""

    @property
    @abstractmethod
    def direct_url(self) -> str:
        """The address of the database for the test itself."""

    def unload(self) -> None:
        """End every load, also after a failed test."""
        while self.loads:
            self.loads.pop().abandon()

    def names(self, kind: str) -> list[str]:
        """The names of the processes of a kind."""
        return [name for name in self.processes if name.rpartition("-")[0] == kind]

    def connect(self) -> JudgeConnection:
        """A connection of the test."""
        return psycopg.connect(self.direct_url, autocommit=True, application_name="faults")

    def count(self, statement: str, *values: object) -> int:
        """The number that a statement returns."""
        with self.connect() as connection:
            found = connection.execute(statement.encode(), values).fetchone()
        assert found is not None
        return int(found[0])

    def log(self, name: str) -> str:
        """The log of a process."""
        return self.supervisor.log_of(name).read_text(encoding="utf-8", errors="replace")

    def signal(self, name: str, number: signal.Signals) -> int:
        """Send a signal to a process. Returns its pid."""
        pid = self.supervisor.kill(name, number)
        assert pid is not None, f"{name} was down already"
        return pid

    def leader(self) -> str:
        """The name of the scheduler that leads."""
        led = {name: _last(r"(?m)^(\S+ ?\S*).*\bleading\b", self.log(name)) for name in self.names("scheduler")}
        return max(led, key=lambda name: led[name])

    @contextmanager
    def extra(self, name: str, double: str | None = None) -> Iterator[Supervisor]:
        """An additional process with its own supervisor. `double` names a test double (tests.faults.doubles)."""
        with Supervisor(self.folder, self.events.append) as supervisor:
            supervisor.start(_child(name, self.environment, self.folder, double))
            yield supervisor

    def wait_until_ready(self) -> None:
        """Wait until ingress and API are ready."""
        wait_until_ready(self.supervisor, self.urls, lambda _: None)

    def require_alive(self) -> None:
        """Fail if a process was given up, does not run, or is frozen."""
        assert self.supervisor.wait_for_failure(0) is None, "a process was given up"
        for name in self.processes:
            pid = eventually(lambda name=name: self.supervisor.pid_of(name), f"{name} runs", 30.0)  # type: ignore[misc]
            state = Path(f"/proc/{pid}/stat")
            assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "T", f"{name} is frozen"


@dataclass(kw_only=True)
class World(ProcessWorld):
    """The processes with one Kafka and one Postgres, each behind a proxy, as the Cloud API is."""

    kafka: KafkaServer
    postgres: PostgresServer
    cloud: Proxy

    @property
    def direct_url(self) -> str:
        """The address of the database without the proxy."""
        return self.postgres.direct_url

    @property
    def dependencies(self) -> dict[str, Proxy]:
        """The proxies of the three dependencies."""
        return {"kafka": self.kafka.proxy, "postgres": self.postgres.proxy, "cloud": self.cloud}

    def unload(self) -> None:
        """Restore the networks and end every load, also after a failed test."""
        for proxy in self.dependencies.values():
            proxy.restore()
        super().unload()


@contextmanager
def start_world(double: str | None = None, **more: object) -> Iterator[World]:
    """Start all servers and processes. With `double`, every process is that test double (tests.faults.doubles).

    `more`: further settings, by their names without the prefix.
    """
    with folder_for_servers() as folder:
        logs = Path(os.environ.get("FAULTS_LOGS", "")) if os.environ.get("FAULTS_LOGS") else folder / "logs"
        logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        kafka = KafkaServer(folder)
        try:
            postgres = PostgresServer(folder)
            try:
                with Proxy() as cloud:
                    yield from _start_processes(kafka, postgres, cloud, logs, double, more)
            finally:
                postgres.close()
        finally:
            kafka.close()


def _start_processes(
    kafka: KafkaServer,
    postgres: PostgresServer,
    cloud: Proxy,
    logs: Path,
    double: str | None,
    more: Mapping[str, object],
) -> Iterator[World]:
    api_port, ingress_port, simulator_port = free_ports(3)
    cloud.retarget(simulator_port)
    variables = _variables(kafka, postgres, cloud, api_port, ingress_port)
    variables |= {f"{PREFIX}{name}": str(value) for name, value in more.items()}
    settings = read_settings(variables, logs)
    migrate_database(settings)
    apply_topics(settings)
    environment = child_environment(variables)
    events: list[ChildEvent] = []
    with Supervisor(logs, noting(events)) as supervisor:
        config = simulator_config(settings, simulator_port, ingress_port)
        supervisor.start(simulator_child(config, logs / "simulator.json", environment, "tidy"))
        for name in NAMES:
            version = {f"{PREFIX}WHATSAPP_API_VERSION": VERSIONS[name]} if name in VERSIONS else {}
            supervisor.start(_child(name, {**environment, **version}, logs, double))
        urls = {"ingress-1": f"http://{LOOPBACK}:{ingress_port}/ready", "api-1": f"http://{LOOPBACK}:{api_port}/ready"}
        simulator_url, api_url = f"http://{LOOPBACK}:{simulator_port}", f"http://{LOOPBACK}:{api_port}"
        with SimulatorClient(simulator_url) as simulator, CampaignApi(api_url) as api:
            found = World(
                settings=settings,
                supervisor=supervisor,
                simulator=simulator,
                api=api,
                urls=urls,
                environment=environment,
                folder=logs,
                events=events,
                processes=NAMES,
                kafka=kafka,
                postgres=postgres,
                cloud=cloud,
            )
            found.wait_until_ready()
            yield found


def simulator_config(settings: Settings, port: int, webhook_port: int) -> dict[str, object]:
    """The configuration of the simulator of these settings. It posts its webhooks to a port of loopback."""
    return {
        **SIMULATED,
        "port": port,
        "webhook_url": f"http://{LOOPBACK}:{webhook_port}/webhooks/whatsapp",
        "app_secret": settings.webhook_app_secrets[0].get_secret_value(),
        "access_token": settings.whatsapp_access_token.get_secret_value(),
        "phone_number_ids": [NUMBER_ID],
    }


def noting(events: list[ChildEvent]) -> Callable[[ChildEvent], None]:
    """A function for a supervisor: it keeps the events, and prints the end of each process."""

    def note(event: ChildEvent) -> None:
        events.append(event)
        if event.what == "ended":
            print(time.strftime("%H:%M:%S"), f"{event.name} (pid {event.pid}) ended with {event.code}", flush=True)

    return note


def _child(name: str, environment: Mapping[str, str], folder: Path, double: str | None) -> Child:
    child = process_child(name, environment, folder)
    if double is None:
        return child
    argv = [sys.executable, "-m", "tests.faults.doubles", double, name.rpartition("-")[0]]
    return Child(name, argv, {**child.env, "PYTHONPATH": str(ROOT)}, folder)


def _variables(
    kafka: KafkaServer, postgres: PostgresServer, cloud: Proxy, api_port: int, ingress_port: int
) -> dict[str, str]:
    values: dict[str, object] = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "DATABASE_URL": postgres.url,
        "DEPLOYMENT": "faults",
        "WHATSAPP_API_URL": f"http://{LOOPBACK}:{cloud.port}",
        "WHATSAPP_ACCESS_TOKEN": secrets.token_urlsafe(24),
        "WHATSAPP_PHONE_NUMBER_ID": NUMBER_ID,
        "WHATSAPP_MPS": MPS,
        "CALLBACK_SECRET": secrets.token_urlsafe(24),
        "WEBHOOK_APP_SECRETS": secrets.token_hex(16),
        "WEBHOOK_VERIFY_TOKEN": secrets.token_urlsafe(16),
        "API_PORT": api_port,
        "INGRESS_PORT": ingress_port,
        "INGRESS_ACK_TIMEOUT_S": 5.0,
        "SEND_WINDOW": SEND_WINDOW,
        "SEND_TIMEOUT_S": SEND_TIMEOUT_S,
        "LEASE_S": LEASE_S,
        "STALL_LIMIT_S": STALL_LIMIT_S,
        "TIME_SCALE": TIME_SCALE,
    }
    return {f"{PREFIX}{name}": str(value) for name, value in values.items()}


def _last(pattern: str, text: str) -> str:
    found = re.findall(pattern, text)
    return found[-1] if found else ""
