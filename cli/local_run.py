"""`campaigns up`: runs every process under a supervisor, on given servers or on embedded ones that keep their data.

Everything that it started ends with it. While it runs, `.campaigns/env` has its addresses for other commands.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from cli.child_events import reporter
from cli.console import note, report_invalid_settings
from cli.metrics_ports import MetricsPortTaken, metrics_ports
from cli.pipeline import (
    DATABASE,
    KAFKA,
    LOOPBACK,
    NO_FOLDER,
    STARTED_IN_ORDER,
    NotReady,
    Servers,
    Stopped,
    child_environment,
    log_tail,
    process_child,
    read_secrets,
    require_usable,
    servers,
    shell_variables,
    simulator_child,
    stop_on_signals,
    wait_until_ready,
    write_private,
)
from operations.installation import SIMULATED_NUMBER_ID
from operations.local_up import EMBEDDED_LINE
from operations.startup import usable_settings
from runtime.process import EXIT_TRANSIENT, EXIT_USAGE, Transient
from runtime.settings import PREFIX, STATE_FOLDER, InvalidSettings, Settings, without_white_space
from runtime.settings_rules import SIMULATED_ACCOUNT_ID
from stack.environment import StackUnavailable
from stack.log_rotation import LogRotation
from stack.ports import free_ports, is_listening
from stack.supervisor import Supervisor

METRICS_PORT = f"{PREFIX}METRICS_PORT"
FIRST_DISPLAY_NUMBER = 15550783881
"""The default number of the simulator as people see it."""
STOP_DEADLINE_S = 50.0
"""A sender may need its 45 s for sends in flight."""
HEARTBEAT_S = "3"
"""No other process takes over the partitions of one that ends, and each heartbeat wakes two processes."""
GENERATED = ("WHATSAPP_ACCESS_TOKEN", "CALLBACK_SECRET", "WEBHOOK_APP_SECRETS", "WEBHOOK_VERIFY_TOKEN")
"""Secrets that are generated at the first start and kept, because statuses of old messages are checked with them."""


@dataclass(frozen=True)
class Ports:
    """The requested ports; 0 takes a free one."""

    api: int
    ingress: int
    simulator: int


class AlreadyRuns(Exception):
    """Another `up` runs in this directory, or another program uses the port."""


def run_up(ports: Ports, metrics_port: int | None, *, as_json: bool) -> int:
    """Run until a signal; returns the exit code. `metrics_port`: see `metrics_ports`."""
    stop_on_signals()
    state = STATE_FOLDER.absolute()
    try:
        with _only_one(state):
            require_usable(shell_variables())
            given = without_white_space(shell_variables())
            chosen = _chosen(ports, is_simulated=_is_simulated(given))
            of_metrics = _metrics_ports(metrics_port, ports.api, given)
            report = reporter(state / "logs", note)
            with LogRotation(state / "logs"), servers(given, state, report) as found:
                return _run(found, given, chosen, of_metrics, state, as_json=as_json)
    except InvalidSettings as wrong:
        return report_invalid_settings(wrong)
    except (AlreadyRuns, MetricsPortTaken) as other:
        note(str(other))
        return EXIT_USAGE
    except (StackUnavailable, NotReady, Transient, psycopg.OperationalError, OSError) as error:
        note(f"not started: {error}")
        return EXIT_TRANSIENT
    except Stopped:
        note("stopped")
        return 0


def _run(
    found: Servers,
    given: Mapping[str, str],
    ports: Ports,
    of_metrics: Mapping[str, int],
    state: Path,
    *,
    as_json: bool,
) -> int:
    from cli.preparations import apply_topics, migrate_database  # noqa: PLC0415 - loaded while servers start

    is_simulated = _is_simulated(given)
    variables = _variables(found, given, ports, state)
    settings = usable_settings(variables, NO_FOLDER)
    if found.embedded:
        note(f"{' and '.join(found.embedded)} embedded, data in {state}")
    migrate_database(settings)
    apply_topics(settings)
    environment = child_environment(variables)
    with (
        _published(state / "env", variables, found.embedded),
        Supervisor(state / "logs", reporter(state / "logs", note), stop_deadline_s=STOP_DEADLINE_S) as supervisor,
    ):
        if is_simulated:
            config = _simulator_config(settings, ports)
            supervisor.start(simulator_child(config, state / "simulator.json", environment, "tidy"))
        for kind in STARTED_IN_ORDER:
            with_metrics = {**environment, METRICS_PORT: str(of_metrics.get(kind, 0))}
            supervisor.start(process_child(kind, with_metrics, state.parent))
        wait_until_ready(supervisor, _ready_urls(ports, is_simulated=is_simulated), lambda _: None)
        _announce(ports, of_metrics, state, is_simulated=is_simulated, as_json=as_json)
        failed = supervisor.wait_for_failure()
        assert failed is not None, "it waits without a limit"
        note(f"{failed} cannot run with these settings:\n{log_tail(supervisor, failed)}")
        return EXIT_USAGE


def _is_simulated(given: Mapping[str, str]) -> bool:
    """Whether the simulator replaces WhatsApp."""
    return f"{PREFIX}WHATSAPP_ACCESS_TOKEN" not in given


def _variables(found: Servers, given: Mapping[str, str], ports: Ports, state: Path) -> dict[str, str]:
    """All our variables for the children."""
    is_simulated = _is_simulated(given)
    values = {
        KAFKA: found.kafka,
        DATABASE: found.database,
        f"{PREFIX}API_PORT": str(ports.api),
        f"{PREFIX}INGRESS_PORT": str(ports.ingress),
    }
    if is_simulated:
        values[f"{PREFIX}WHATSAPP_API_URL"] = f"http://{LOOPBACK}:{ports.simulator}"
        values[f"{PREFIX}WHATSAPP_PHONE_NUMBER_ID"] = given.get(
            f"{PREFIX}WHATSAPP_PHONE_NUMBER_ID", SIMULATED_NUMBER_ID
        )
        values[f"{PREFIX}WHATSAPP_ACCOUNT_ID"] = given.get(f"{PREFIX}WHATSAPP_ACCOUNT_ID", SIMULATED_ACCOUNT_ID)
    generated = _generated(state / "secrets.json")
    names = GENERATED if is_simulated else ("CALLBACK_SECRET",)
    made_up = {f"{PREFIX}HEARTBEAT_S": HEARTBEAT_S, **{f"{PREFIX}{name}": generated[name] for name in names}}
    # Each process has a port of its own for metrics, and another command in this directory must not take one of them.
    return {name: value for name, value in {**made_up, **given, **values}.items() if name != METRICS_PORT}


def _generated(file: Path) -> dict[str, str]:
    """The generated secrets of this directory, the same at every start."""
    known = read_secrets(file)
    missing = {name: secrets.token_urlsafe(24) for name in GENERATED if name not in known}
    if missing:
        write_private(file, json.dumps({**known, **missing}))
    return {**known, **missing}


def _simulator_config(settings: Settings, ports: Ports) -> dict[str, object]:
    return {
        "port": ports.simulator,
        "webhook_url": f"http://{LOOPBACK}:{ports.ingress}/webhooks/whatsapp",
        "app_secret": settings.webhook_app_secrets[0].get_secret_value(),
        "access_token": settings.whatsapp_access_token.get_secret_value(),
        "number_tokens": {number: token.get_secret_value() for number, token in settings.tokens_by_number().items()},
        "display_phone_numbers": simulated_display_numbers(settings),
        "us_marketing": True,  # the examples of the README have numbers of the United States
    }


def simulated_display_numbers(settings: Settings) -> dict[str, str]:
    """A number as people see it for each sending number, by its id, so that a report of Meta names one of them."""
    others = sorted(settings.known_numbers - {settings.whatsapp_phone_number_id})
    return {number: str(FIRST_DISPLAY_NUMBER + n) for n, number in enumerate(others, 1)}


def _chosen(ports: Ports, *, is_simulated: bool) -> Ports:
    """Free ports for those that are 0. Raises AlreadyRuns for one that is taken and needed."""
    free = iter(free_ports(3))
    chosen = {}
    for name, port in (("api", ports.api), ("ingress", ports.ingress), ("simulator", ports.simulator)):
        is_needed = is_simulated or name != "simulator"
        if port and is_needed and is_listening(port):
            raise AlreadyRuns(f"port {port} is taken: choose another with --{name}-port, 0 picks a free one")
        chosen[name] = port or next(free)
    return Ports(**chosen)


def _metrics_ports(requested: int | None, api_port: int, given: Mapping[str, str]) -> dict[str, int]:
    """The option, else the variable, which may also turn the metrics off. Raises MetricsPortTaken."""
    if requested is None and METRICS_PORT in given:
        first = int(given[METRICS_PORT])
        return metrics_ports(first, api_port) if first else {}
    return metrics_ports(requested, api_port)


def _ready_urls(ports: Ports, *, is_simulated: bool) -> dict[str, str]:
    simulator = {"simulator": f"http://{LOOPBACK}:{ports.simulator}/_simulator/state"} if is_simulated else {}
    return {
        **simulator,
        "ingress": f"http://{LOOPBACK}:{ports.ingress}/ready",
        "api": f"http://{LOOPBACK}:{ports.api}/ready",
    }


@contextmanager
def _only_one(state: Path) -> Iterator[None]:
    """Lock this directory against a second `up`. The lock ends with this process."""
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    held = os.open(state / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(held, 32, 0).decode().strip()
        os.close(held)
        raise AlreadyRuns(
            f"`campaigns up` already runs in {state.parent} (process {holder}), and starts again what fails: "
            f"`campaigns status` shows its state. To start anew, end that process first"
        ) from None
    try:
        os.ftruncate(held, 0)
        os.pwrite(held, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(held)


@contextmanager
def _published(file: Path, variables: Mapping[str, str], embedded: Sequence[str]) -> Iterator[None]:
    """Write the addresses for other commands in this directory, and remove them at the end."""
    lines = [f"{EMBEDDED_LINE}{', '.join(embedded)}", *(f"{name}={value}" for name, value in sorted(variables.items()))]
    write_private(file, "".join(f"{line}\n" for line in lines))
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _announce(ports: Ports, of_metrics: Mapping[str, int], state: Path, *, is_simulated: bool, as_json: bool) -> None:
    urls = {"api": f"http://{LOOPBACK}:{ports.api}", "ingress": f"http://{LOOPBACK}:{ports.ingress}/webhooks/whatsapp"}
    if is_simulated:
        urls["simulator"] = f"http://{LOOPBACK}:{ports.simulator}"
        note(
            "no access token is set, so the simulator replaces WhatsApp: nothing leaves this machine, "
            "and every message is delivered and read"
        )
    for name, url in urls.items():
        note(f"{name:>10}: {url}")
    metrics = {name: f"http://{LOOPBACK}:{port}/metrics" for name, port in of_metrics.items()}
    for name, url in metrics.items():
        note(f"{'metrics':>10}: {url} ({name})")
    note(f"{'logs':>10}: {state / 'logs'}\nCtrl-C ends it; the data stays.")
    if as_json:
        print(json.dumps({**urls, "metrics": metrics}), flush=True)
