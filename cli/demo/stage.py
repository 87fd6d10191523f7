"""Starts servers, simulator and all processes for the demo, and ends them with the `with` block.

On given servers it uses a separate database and topic prefix, so that existing campaigns are neither sent nor counted.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cli.child_events import reporter
from cli.demo.killing import VERSIONS
from cli.pipeline import (
    DATABASE,
    KAFKA,
    LOOPBACK,
    STARTED_IN_ORDER,
    Servers,
    Stopped,
    child_environment,
    process_child,
    require_usable,
    servers,
    shell_variables,
    simulator_child,
    wait_until_ready,
)
from cli.preparations import apply_topics, migrate_database
from operations.installation import SIMULATED_NUMBER_ID, SIMULATOR_TIME_SCALE
from operations.startup import usable_settings
from runtime.settings import PREFIX, Settings, read_settings
from schemas.topics import BY_NAME
from stack.ports import free_ports
from stack.supervisor import Supervisor
from tables.server import create_database, drop_database, in_database
from topics.cluster import delete_topics

ROOM = 2
"""Throughput of the simulated number as a multiple of the rate: after a stop both senders catch up at the full rate."""
THROTTLE_SHARE = 0.001
"""Share of answers that are throttled. The share of the preset would keep the senders on their brakes all the time."""
SEND_TIMEOUT_S = 10.0
SEND_WINDOW_S, SEND_WINDOW_MIN, SEND_WINDOW_MAX = 0.2, 16, 256
"""The window of a sender in seconds of its rate. Claims that were not posted before a kill become `unknown`, too."""
LEASE_S = 15.0
"""Longer than the HTTP timeout, as required, and short enough to see an `unknown` declared."""
STOP_DEADLINE_S = 20.0
KEPT_OF_GIVEN = (
    KAFKA, DATABASE, f"{PREFIX}KAFKA_USER", f"{PREFIX}KAFKA_PASSWORD", f"{PREFIX}KAFKA_EXTRA",
    f"{PREFIX}TRACES", f"{PREFIX}TRACES_RATIO",
)  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """Everything that a run uses."""

    settings: Settings
    api_url: str
    simulator_url: str
    supervisor: Supervisor | None = None
    """It can kill a sender. None: the processes are not ours, and none is killed."""
    folder: Path | None = None
    """Folder of the logs; None if the processes are not ours."""

    def restarts(self) -> dict[str, int]:
        """How often each process was started again, as far as it is known."""
        found = self.supervisor
        return {} if found is None else {name: found.restarts_of(name) for name in found.names()}


@dataclass(frozen=True)
class StageOptions:
    """The options of the command that matter here."""

    mps: int
    seed: int
    time_scale: float


@dataclass(frozen=True)
class Corner:
    """The database and the topic prefix of the demo."""

    database_url: str
    topic_prefix: str


@contextmanager
def staged(options: StageOptions, note: Callable[[str], None]) -> Iterator[Stage]:
    """Start everything and wait until it is ready."""
    given = {name: value for name, value in shell_variables().items() if name in KEPT_OF_GIVEN}
    require_usable(given)
    with _folder(note) as folder, servers(given, None) as found, _own_corner(found, given) as corner:
        note(f"Kafka and PostgreSQL are up ({', '.join(found.embedded) or 'none'} embedded)")
        api_port, ingress_port, simulator_port = free_ports(3)
        variables = _variables(options, found, corner, api_port, ingress_port, simulator_port)
        settings = usable_settings({**given, **variables}, folder)
        migrate_database(settings)
        apply_topics(settings)
        note("database migrated, topics created")
        environment = child_environment({**given, **variables})
        with Supervisor(folder, reporter(folder, note), stop_deadline_s=STOP_DEADLINE_S) as supervisor:
            config = _simulator_config(options, settings, simulator_port, ingress_port)
            supervisor.start(simulator_child(config, folder / "simulator.json", environment, "realistic"))
            for kind in STARTED_IN_ORDER:
                _start(supervisor, kind, environment, folder)
            urls = {
                "simulator": f"http://{LOOPBACK}:{simulator_port}/_simulator/state",
                "ingress": f"http://{LOOPBACK}:{ingress_port}/ready",
                "api": f"http://{LOOPBACK}:{api_port}/ready",
            }
            wait_until_ready(supervisor, urls, lambda _: None)
            note(f"{len(supervisor.names())} processes are running (logs: {folder})")
            api_url, simulator_url = f"http://{LOOPBACK}:{api_port}", f"http://{LOOPBACK}:{simulator_port}"
            yield Stage(settings, api_url, simulator_url, supervisor, folder)


def _start(supervisor: Supervisor, kind: str, environment: Mapping[str, str], folder: Path) -> None:
    """Start one process. Of the sender start two, each with another version of the API."""
    if kind != "sender":
        supervisor.start(process_child(kind, environment, folder))
        return
    for version, name in VERSIONS.items():
        spoken = {**environment, f"{PREFIX}WHATSAPP_API_VERSION": version}
        supervisor.start(process_child(name, spoken, folder))


def _variables(
    options: StageOptions, found: Servers, corner: Corner, api_port: int, ingress_port: int, simulator_port: int
) -> dict[str, str]:
    values: dict[str, object] = {
        "KAFKA_BOOTSTRAP_SERVERS": found.kafka,
        "DATABASE_URL": corner.database_url,
        "TOPIC_PREFIX": corner.topic_prefix,
        "DEPLOYMENT": "demo",
        "WHATSAPP_API_URL": f"http://{LOOPBACK}:{simulator_port}",
        "WHATSAPP_ACCESS_TOKEN": secrets.token_urlsafe(24),
        "WHATSAPP_PHONE_NUMBER_ID": SIMULATED_NUMBER_ID,
        "WHATSAPP_MPS": options.mps,
        "CALLBACK_SECRET": secrets.token_urlsafe(24),
        "WEBHOOK_APP_SECRETS": secrets.token_hex(16),
        "WEBHOOK_VERIFY_TOKEN": secrets.token_urlsafe(16),
        "API_PORT": api_port,
        "INGRESS_PORT": ingress_port,
        "SEND_WINDOW": max(SEND_WINDOW_MIN, min(SEND_WINDOW_MAX, round(options.mps * SEND_WINDOW_S))),
        "SEND_TIMEOUT_S": SEND_TIMEOUT_S,
        "LEASE_S": LEASE_S,
        "TIME_SCALE": options.time_scale,
    }
    return {f"{PREFIX}{name}": str(value) for name, value in values.items()}


def _simulator_config(
    options: StageOptions, settings: Settings, simulator_port: int, ingress_port: int
) -> dict[str, object]:
    return {
        "port": simulator_port,
        "seed": options.seed,
        "time_scale": SIMULATOR_TIME_SCALE,
        "webhook_url": f"http://{LOOPBACK}:{ingress_port}/webhooks/whatsapp",
        "app_secret": settings.webhook_app_secrets[0].get_secret_value(),
        "access_token": settings.whatsapp_access_token.get_secret_value(),
        "phone_number_ids": [SIMULATED_NUMBER_ID],
        "mps": options.mps * ROOM,
        "answers": {"throttle_share": THROTTLE_SHARE},
    }


KEEP = "keep"
"""A file of this name keeps the folder."""


@contextmanager
def _folder(note: Callable[[str], None]) -> Iterator[Path]:
    """A folder for logs. It is kept after a failure."""
    folder = Path(tempfile.mkdtemp(prefix="campaigns-demo-"))
    try:
        yield folder
    except Stopped:
        shutil.rmtree(folder)
        raise
    except BaseException:
        note(f"the logs are kept in {folder}")
        raise
    if (folder / KEEP).exists():
        note(f"the logs are kept in {folder}")
    else:
        shutil.rmtree(folder)


@contextmanager
def _own_corner(found: Servers, given: Mapping[str, str]) -> Iterator[Corner]:
    """A separate database and topic prefix on given servers; embedded servers are used as a whole."""
    name = f"campaigns_demo_{secrets.token_hex(4)}"
    database_url, prefix = found.database, ""
    with ExitStack() as ending:
        if given.get(DATABASE):
            create_database(found.database, name)
            ending.callback(drop_database, found.database, name)
            database_url = in_database(found.database, name)
        if given.get(KAFKA):
            prefix = f"{name}."
            ending.callback(_delete_topics, given, prefix)
        yield Corner(database_url, prefix)


def _delete_topics(given: Mapping[str, str], prefix: str) -> None:
    settings = read_settings({DATABASE: "postgresql://not-used", **given}, Path(prefix))
    delete_topics(settings, [prefix + name for name in BY_NAME])
