"""A Kafka broker and a PostgreSQL server for a development run, a demo or a test.

    with embedded_stack() as stack:                       # throw-away: nothing is left afterwards
    with embedded_stack(Path(".campaigns")) as stack:     # kept: a later start finds the data again

Several may run side by side, but only one per kept state. Servers always end with their parent (`stack.guard`).
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
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from stack.kafka import Broker, prepare_kafka, start_kafka
from stack.places import (
    StackUnavailable,
    is_reachable_by_anyone,
    shared_folder,
    throw_away_root,
    unprivileged_account,
)
from stack.postgres import Server, database_url, prepare_postgres, start_postgres

# The servers of a killed run may still be ending, up to their own deadlines.
PREVIOUS_RUN_DEADLINE_S = 60.0
NOT_STARTED = ""


@dataclass(frozen=True)
class Stack:
    """The addresses of the two servers; empty for a server that was not requested."""

    kafka_bootstrap_servers: str
    database_url: str = field(repr=False)  # it contains the password
    kafka_pid: int | None = None
    postgres_pid: int | None = None


@dataclass(frozen=True)
class _StackFolders:
    """The folders of a stack."""

    root: Path
    kafka: Path
    postgres: Path
    logs: Path
    password: str = field(repr=False)
    lock: int | None


@contextmanager
def embedded_stack(state_dir: Path | None = None, *, kafka: bool = True, postgres: bool = True) -> Iterator[Stack]:
    """Start the requested servers, and end them with the block."""
    note = progress(sys.stderr.isatty())
    with ExitStack() as ending:
        ground = _kept(state_dir.absolute(), ending) if state_dir is not None else _throw_away(ending)
        throw_away = state_dir is None
        held = [] if ground.lock is None else [ground.lock]
        logs = ground.logs
        with ThreadPoolExecutor(2) as pool:  # both at once, because each mostly waits for its server
            with_broker = with_server = None
            if kafka:
                with_broker = pool.submit(
                    start_kafka, ground.kafka, logs / "kafka.log", throw_away=throw_away, note=note, held=held
                )
                ending.callback(_stop, with_broker)
            if postgres:
                with_server = pool.submit(
                    start_postgres,
                    ground.postgres,
                    logs / "postgres.log",
                    ground.password,
                    throw_away=throw_away,
                    held=held,
                )
                ending.callback(_stop, with_server)
        broker = with_broker.result() if with_broker else None
        server = with_server.result() if with_server else None
        yield Stack(
            kafka_bootstrap_servers=broker.bootstrap_servers if broker else NOT_STARTED,
            database_url=database_url(server.port, ground.password) if server else NOT_STARTED,
            kafka_pid=broker.child.pid if broker else None,
            postgres_pid=server.child.pid if server else None,
        )


def remove_state(state_dir: Path) -> None:
    """Remove a kept state that is not in use, with its database if that is in another folder."""
    with ExitStack() as ending:
        _lock(state_dir.absolute() / "lock", ending)
        location = state_dir / "postgres.location"
        if location.exists() and Path(location.read_text()).exists():
            shutil.rmtree(location.read_text())
        shutil.rmtree(state_dir)


def _stop(requested: Future[Broker] | Future[Server]) -> None:
    """End the started servers, also after a failure of the other one or a Ctrl-C."""
    if not requested.cancelled() and requested.exception() is None:
        requested.result().child.stop()


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
            _, _, counted = line.partition(": ")
            done, of, total = counted.partition(" of ")
            if not of or done == total.split(" ")[0]:
                print(file=sys.stderr)
        elif line != shown and time.monotonic() - last > 1.0:
            print(line, file=sys.stderr, flush=True)
            last = time.monotonic()
        shown = line

    return note


def _throw_away(ending: ExitStack) -> _StackFolders:
    for_unprivileged = unprivileged_account() is not None
    root = Path(tempfile.mkdtemp(prefix="campaigns-", dir=throw_away_root(for_unprivileged=for_unprivileged)))
    ending.callback(_remove_if_empty, root)
    if for_unprivileged:
        root.chmod(0o711)  # our own folder can be passed through, but not listed
    return _StackFolders(root, root / "kafka", root / "postgres", root, secrets.token_urlsafe(24), None)


def _remove_if_empty(root: Path) -> None:
    """Remove a root in which nothing was started, because no guard removes it."""
    if root.is_dir() and not any(root.iterdir()):
        root.rmdir()


def _kept(state: Path, ending: ExitStack) -> _StackFolders:
    logs = state / "logs"
    for folder in (state, logs):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = _lock(state / "lock", ending)
    return _StackFolders(state, state / "kafka", _kept_postgres(state), logs, _kept_password(state), lock)


def _lock(path: Path, ending: ExitStack) -> int:
    """Lock the state. The guards keep the lock until their servers have ended."""
    held = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    ending.callback(os.close, held)
    deadline = time.monotonic() + PREVIOUS_RUN_DEADLINE_S
    while True:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            holder = os.pread(held, 32, 0).decode().strip()
            if _is_alive(holder) or time.monotonic() > deadline:
                raise StackUnavailable(f"{path.parent} is in use by process {holder}") from None
            time.sleep(0.05)  # its holder has ended, and its guards are ending the servers
    os.ftruncate(held, 0)
    os.pwrite(held, f"{os.getpid()}\n".encode(), 0)
    return held


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
    """The folder of the data: in the state, or in a place that the unprivileged account can reach.

    The name of a folder elsewhere contains a random part that is kept in the state, so that a recreated state does not
    find the data of a deleted one.
    """
    pointer = state / "postgres.location"
    if pointer.exists():
        return Path(pointer.read_text())
    if unprivileged_account() is None or is_reachable_by_anyone(state):
        folder = state / "postgres"
    else:
        place = hashlib.sha256(str(state).encode()).hexdigest()[:12]
        folder = shared_folder("lib") / f"{place}-{secrets.token_hex(4)}"
    fresh = pointer.with_suffix(".new")
    fresh.write_text(str(folder))
    fresh.rename(pointer)
    return folder
