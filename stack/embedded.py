"""A Kafka broker and a PostgreSQL server for a development run, a demo or a test.

    with embedded_stack() as stack:                       # throw-away: all data is deleted at the end
    with embedded_stack(Path(".campaigns")) as stack:     # kept: a later start finds the data again

Several stacks may run at the same time, but a kept state has one stack at a time. The servers end with the process
that started them, even after `kill -9` (`stack.guard`).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from stack.environment import (
    StackUnavailable,
    is_reachable_by_anyone,
    shared_folder,
    throw_away_root,
    unprivileged_account,
)
from stack.kafka import KafkaBroker, prepare_kafka, start_kafka
from stack.kafka_probe import KafkaProbe
from stack.liveness import PROBE_TIMEOUT_S, ServerWatch
from stack.postgres import PostgresServer, database_url, prepare_postgres, start_postgres
from stack.postgres import answers as postgres_answers
from stack.postgres_lock import processes_in, remove_stale_lock
from stack.supervised_child import ChildEvent, SupervisedChild

PREVIOUS_RUN_DEADLINE_S = 60.0
"""Longest wait for the servers of a killed run. They end within their own stop deadlines."""

SERVER_STOP_DEADLINE_S = 40.0
"""Time for a supervised server to end: longer than its guard gives it before it kills it."""

NOT_STARTED = ""
"""The address of a server that was not requested."""


@dataclass(frozen=True)
class Stack:
    """The addresses and pids of the two servers. A server that was not requested has no pid and an empty address."""

    kafka_bootstrap_servers: str
    database_url: str = field(repr=False)  # it contains the password
    kafka_pid: int | None = None
    postgres_pid: int | None = None


@dataclass(frozen=True)
class _StackFolders:
    """The folders of a stack, the password of its database, and the descriptor of its lock."""

    root: Path
    kafka: Path
    postgres: Path
    logs: Path
    password: str = field(repr=False)
    lock: int | None


@contextmanager
def embedded_stack(
    state_dir: Path | None = None,
    *,
    kafka: bool = True,
    postgres: bool = True,
    postgres_settings: Mapping[str, str] | None = None,
    on_event: Callable[[ChildEvent], None] | None = None,
) -> Iterator[Stack]:
    """Start the requested servers, and stop them at the end of the block.

    `postgres_settings`: settings of PostgreSQL that differ from those of `stack.postgres`.

    With `on_event` they are supervised: a server that ends, or that runs and does not answer, is started again with its
    data and at its address, and `on_event` gets a report.
    """
    note = progress(sys.stderr.isatty())
    with ExitStack() as ending:
        folders = _kept_folders(state_dir.absolute(), ending) if state_dir is not None else _throw_away_folders(ending)
        throw_away = state_dir is None
        locks = [] if folders.lock is None else [folders.lock]
        logs = folders.logs
        with ThreadPoolExecutor(2) as pool:  # both start at once, because each mostly waits
            future_broker = future_server = None
            if kafka:
                future_broker = pool.submit(
                    start_kafka, folders.kafka, logs / "kafka.log", throw_away=throw_away, note=note, locks=locks
                )
                ending.callback(_stop, future_broker)
            if postgres:
                future_server = pool.submit(
                    start_postgres,
                    folders.postgres,
                    logs / "postgres.log",
                    folders.password,
                    throw_away=throw_away,
                    locks=locks,
                    more=postgres_settings,
                )
                ending.callback(_stop, future_server)
        broker = future_broker.result() if future_broker else None
        server = future_server.result() if future_server else None
        if on_event is not None:
            _supervise(broker, server, folders.password, on_event, ending)
        yield Stack(
            kafka_bootstrap_servers=broker.bootstrap_servers if broker else NOT_STARTED,
            database_url=database_url(server.port, folders.password) if server else NOT_STARTED,
            kafka_pid=broker.child.pid if broker else None,
            postgres_pid=server.child.pid if server else None,
        )


def _supervise(
    broker: KafkaBroker | None,
    server: PostgresServer | None,
    password: str,
    on_event: Callable[[ChildEvent], None],
    ending: ExitStack,
) -> None:
    """Keep the running servers running until `ending`."""
    if broker is not None:
        supervised = SupervisedChild("Kafka", broker.child.program, on_event, running=broker.child)
        probe = KafkaProbe(broker.bootstrap_servers, PROBE_TIMEOUT_S)
        _keep_running(supervised, ServerWatch(supervised, "Kafka", probe, on_event), ending)
    if server is not None:
        supervised = SupervisedChild(
            "PostgreSQL",
            server.child.program,
            on_event,
            running=server.child,
            before_start=partial(remove_stale_lock, server.data),
        )
        is_answered = partial(postgres_answers, database_url(server.port, password), PROBE_TIMEOUT_S)
        others = partial(processes_in, server.data)
        _keep_running(supervised, ServerWatch(supervised, "PostgreSQL", is_answered, on_event, others), ending)


def _keep_running(server: SupervisedChild, watch: ServerWatch, ending: ExitStack) -> None:
    server.begin()
    ending.callback(server.join, SERVER_STOP_DEADLINE_S)
    ending.callback(server.request_stop)
    ending.enter_context(watch)  # it ends first


def remove_state(state_dir: Path) -> None:
    """Remove a kept state that is not in use, including a database that is in another folder."""
    with ExitStack() as ending:
        _lock(state_dir.absolute() / "lock", ending)
        location = state_dir / "postgres.location"
        if location.exists() and Path(location.read_text()).exists():
            shutil.rmtree(location.read_text())
        shutil.rmtree(state_dir)


def _stop(starting: Future[KafkaBroker] | Future[PostgresServer]) -> None:
    """Stop a server that was started, even if the other server failed or Ctrl-C was pressed meanwhile."""
    if not starting.cancelled() and starting.exception() is None:
        starting.result().child.stop()


def prepare(note: Callable[[str], None]) -> None:
    """Do everything that needs a network, so that later starts need none."""
    prepare_postgres()
    prepare_kafka(note)


def progress(is_terminal: bool) -> Callable[[str], None]:
    """A function that shows progress on stderr: one changing line on a terminal, few lines elsewhere."""
    shown = ""
    last = 0.0

    def note(line: str) -> None:
        nonlocal shown, last
        if is_terminal:
            print(f"\r\x1b[2K{line}", end="", file=sys.stderr, flush=True)
            _, _, count = line.partition(": ")
            done, separator, total = count.partition(" of ")
            if not separator or done == total.split(" ")[0]:
                print(file=sys.stderr)
        elif line != shown and time.monotonic() - last > 1.0:
            print(line, file=sys.stderr, flush=True)
            last = time.monotonic()
        shown = line

    return note


def _throw_away_folders(ending: ExitStack) -> _StackFolders:
    for_unprivileged = unprivileged_account() is not None
    root = Path(tempfile.mkdtemp(prefix="campaigns-", dir=throw_away_root(for_unprivileged=for_unprivileged)))
    ending.callback(_remove_if_empty, root)
    if for_unprivileged:
        root.chmod(0o711)  # other accounts may pass through the folder, but not list it
    return _StackFolders(root, root / "kafka", root / "postgres", root, secrets.token_urlsafe(24), None)


def _remove_if_empty(root: Path) -> None:
    """Remove the root if no server was started in it. Otherwise a guard removes it."""
    if root.is_dir() and not any(root.iterdir()):
        root.rmdir()


def _kept_folders(state: Path, ending: ExitStack) -> _StackFolders:
    logs = state / "logs"
    for folder in (state, logs):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = _lock(state / "lock", ending)
    return _StackFolders(state, state / "kafka", _kept_postgres(state), logs, _kept_password(state), lock)


def _lock(path: Path, ending: ExitStack) -> int:
    """Lock the state. The guards inherit the descriptor, so the lock lasts until their servers have ended."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    ending.callback(os.close, descriptor)
    deadline = time.monotonic() + PREVIOUS_RUN_DEADLINE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode().strip()
            if _is_alive(holder) or time.monotonic() > deadline:
                raise StackUnavailable(f"{path.parent} is in use by process {holder}") from None
            time.sleep(0.05)  # the holder is dead, and its guards are still stopping the servers
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def _is_alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


def _kept_password(state: Path) -> str:
    path = state / "postgres.password"
    if not path.exists():
        fresh = path.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(24))
        fresh.rename(path)
    return path.read_text()


def _kept_postgres(state: Path) -> Path:
    """The folder of the database: in the state, or elsewhere if the unprivileged account cannot reach the state.

    The name of a folder elsewhere contains a random part. The file `postgres.location` in the state keeps that name, so
    a recreated state does not use the data of a deleted one.
    """
    pointer = state / "postgres.location"
    if pointer.exists():
        return Path(pointer.read_text())
    if unprivileged_account() is None or is_reachable_by_anyone(state):
        folder = state / "postgres"
    else:
        digest = hashlib.sha256(str(state).encode()).hexdigest()[:12]
        folder = shared_folder("lib") / f"{digest}-{secrets.token_hex(4)}"
    fresh = pointer.with_suffix(".new")
    fresh.write_text(str(folder))
    fresh.rename(pointer)
    return folder
