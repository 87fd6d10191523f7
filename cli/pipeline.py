"""The shared parts of `up` and `demo`: their servers, their children, and the check that those are ready."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from cli.child_events import tail
from cli.processes import MODULES
from operations.startup import usable_settings
from runtime.settings import PREFIX, shell_environment
from stack.supervised_child import kind_of
from stack.supervisor import Child, ChildEvent, Supervisor

if TYPE_CHECKING:
    import httpx

KAFKA = f"{PREFIX}KAFKA_BOOTSTRAP_SERVERS"
DATABASE = f"{PREFIX}DATABASE_URL"
LOOPBACK = "127.0.0.1"
NO_FOLDER = Path("there-is-no-such-folder")
"""Used instead of the state folder, so that a run does not read the file of an earlier one."""
READY_DEADLINE_S = 60.0
PROBE_TIMEOUT_S = 2.0
PROBE_EVERY_S = 0.1
LOG_TAIL_LINES = 12

STARTED_IN_ORDER = ("sink", "stats-publisher", "reconciler", "ingress", "sender", "scheduler", "api")
"""Readers start before writers, and end after them."""


class Stopped(BaseException):
    """SIGTERM or Ctrl-C. It unwinds every `with` block and is not an error."""


class NotReady(Exception):
    """A process did not become ready; the message shows the end of its log."""


@dataclass(frozen=True)
class Servers:
    """The addresses of Kafka and Postgres."""

    kafka: str
    database: str = field(repr=False)
    embedded: tuple[str, ...] = ()


@contextmanager
def servers(
    given: Mapping[str, str],
    state_folder: Path | None,
    on_event: Callable[[ChildEvent], None] | None = None,
) -> Iterator[Servers]:
    """The servers named in `given`, and embedded ones for the others, with their data in `state_folder`, if any.

    With `on_event`, an embedded server that ends is started again, and the end is reported.
    """
    kafka, database = given.get(KAFKA, ""), given.get(DATABASE, "")
    if kafka and database:
        yield Servers(kafka, database)
        return
    from stack.embedded import embedded_stack  # noqa: PLC0415 - not loaded where nothing embedded starts

    embedded = tuple(name for name, address in (("Kafka", kafka), ("PostgreSQL", database)) if not address)
    with embedded_stack(state_folder, kafka=not kafka, postgres=not database, on_event=on_event) as stack:
        yield Servers(kafka or stack.kafka_bootstrap_servers, database or stack.database_url, embedded)


def shell_variables() -> dict[str, str]:
    """Our variables from the shell, without those that a running `campaigns up` wrote for other commands."""
    return {name: value for name, value in shell_environment().items() if name.startswith(PREFIX)}


def require_usable(given: Mapping[str, str]) -> None:
    """Check the given variables before any server starts. Raises InvalidSettings."""
    usable_settings({KAFKA: "to-come", DATABASE: "postgresql://to-come", **given}, NO_FOLDER)


def child_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a child: that of the shell, with exactly these variables of ours."""
    others = {name: value for name, value in shell_environment().items() if not name.startswith(PREFIX)}
    return {**others, **variables}


def stop_on_signals() -> None:
    """Let the first SIGTERM or SIGINT raise Stopped in the main thread, and ignore later ones."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        raise Stopped

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def process_child(name: str, environment: Mapping[str, str], folder: Path) -> Child:
    """One of our processes; `sender-2` is a sender. It runs in `folder` and reads its `.campaigns/env`, if any."""
    kind = kind_of(name)
    assert kind in MODULES, f"there is no process {kind}"
    named = {**environment, f"{PREFIX}INSTANCE": name}
    return Child(name, [sys.executable, "-m", "cli", kind], named, folder)


def simulator_child(config: Mapping[str, object], file: Path, environment: Mapping[str, str], preset: str) -> Child:
    """The simulator. Its configuration holds secrets, so it is in a private file and not on the command line."""
    write_private(file, json.dumps(config))
    argv = [sys.executable, "-m", "simulator", "--preset", preset, "--config", str(file)]
    return Child("simulator", argv, environment, file.parent)


def read_secrets(file: Path) -> dict[str, str]:
    """The secrets that were made before and kept in this file; none at the first start."""
    try:
        known: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return known


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner may read, completely or not at all."""
    fresh = file.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(file)


def wait_until_ready(supervisor: Supervisor, urls: Mapping[str, str], note: Callable[[str], None]) -> None:
    """Wait until each address answers 200. Raises NotReady for a child that was given up, or at the deadline."""
    import httpx  # noqa: PLC0415 - its import takes 0.1 s, and no other command needs it

    deadline = time.monotonic() + READY_DEADLINE_S
    with httpx.Client(timeout=PROBE_TIMEOUT_S, trust_env=False) as client:
        for name, url in urls.items():
            while not answers(client, url):
                if failed := supervisor.wait_for_failure(PROBE_EVERY_S):
                    raise NotReady(f"{failed} could not be started:\n{log_tail(supervisor, failed)}")
                if time.monotonic() > deadline:
                    raise NotReady(f"{name} is not ready after {READY_DEADLINE_S:.0f} s:\n{log_tail(supervisor, name)}")
            note(f"{name} is ready")


def answers(client: httpx.Client, url: str) -> bool:
    """Whether a GET of the address answers 200 now."""
    import httpx  # noqa: PLC0415 - as above

    try:
        return client.get(url).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def log_tail(supervisor: Supervisor, name: str) -> str:
    """The last lines of the log of a child, and the path of the log."""
    log = supervisor.log_of(name)
    lines = tail(log).splitlines()[-LOG_TAIL_LINES:]
    return "\n".join([*(f"  {line}" for line in lines), f"  (full log: {log})"])
