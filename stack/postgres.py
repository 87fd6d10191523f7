"""One real PostgreSQL server (loopback only, with a password) as a guarded child process.

PostgreSQL refuses to run as root. So root runs it under an account without rights, in a folder that this account can
reach.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stack.environment import StackUnavailable, postgres_version, search_path, unprivileged_account
from stack.guarded import GuardedProcess, Program
from stack.kafka import tail
from stack.ports import LOOPBACK, free_ports, is_listening
from stack.postgres_binaries import postgres_programs
from stack.postgres_lock import remove_stale_lock

OWNER = "campaigns"  # the superuser and its database
START_DEADLINE_S = 60.0
STOP_DEADLINE_S = 20.0
TRIES = 3  # another program may take the free port before the server listens on it

SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",  # neither a socket nor a lock outside the data folder
    "max_connections": "200",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "password_encryption": "scram-sha-256",
}
THROW_AWAY_SETTINGS = {"fsync": "off", "full_page_writes": "off"}
"""A crash of the machine may lose a throw-away database. `synchronous_commit` stays on, because the sender needs it."""


@dataclass(frozen=True)
class PostgresServer:
    """A running server."""

    port: int
    child: GuardedProcess
    data: Path


def prepare_postgres() -> None:
    """Copy the programs if that is necessary, so that later starts are quick."""
    postgres_programs(postgres_version(), unprivileged_account())


def start_postgres(
    folder: Path,
    log_file: Path,
    password: str,
    *,
    throw_away: bool,
    locks: Sequence[int] = (),
    port: int | None = None,
    more: Mapping[str, str] | None = None,
) -> PostgresServer:
    """Start a server with its data in `folder`. Returns when the server answers.

    `port`: the port on which it must listen; a free one without it. `more`: further settings of the server.

    The account `unprivileged_account()` must be able to reach `folder`. With `throw_away`, the folder and the log are
    removed when the server ends.
    """
    account = unprivileged_account()
    with log_file.open("ab+") as log:  # our descriptor stays readable after the guard has removed the file
        for _ in range(TRIES):
            data, programs = _data(folder, password, account)
            remove_stale_lock(data)
            listens_on = free_ports(1)[0] if port is None else port
            settings = SETTINGS | {"port": str(listens_on)} | (THROW_AWAY_SETTINGS if throw_away else {})
            settings |= more or {}
            child = GuardedProcess(
                Program(
                    argv=[str(programs / "postgres"), "-D", str(data)]
                    + [f"--{name}={value}" for name, value in settings.items()],
                    log_file=log_file,
                    env=_environment(),
                    cwd=folder,
                    uid=account.pw_uid if account else None,
                    gid=account.pw_gid if account else None,
                    stop_signal=signal.SIGINT,  # PostgreSQL's fast shutdown
                    stop_deadline_s=STOP_DEADLINE_S,
                    throw_away=[folder, log_file] if throw_away else [],
                    locks=locks,
                )
            )
            try:
                if _is_ready(child, listens_on, password):
                    return PostgresServer(listens_on, child, data)
            except BaseException:
                child.stop()
                raise
        raise StackUnavailable(f"PostgreSQL does not start; its log {log_file} ends:\n{tail(log)}")


def database_url(port: int, password: str) -> str:
    """The address of the database, with the password."""
    return f"postgresql://{OWNER}:{password}@{LOOPBACK}:{port}/{OWNER}"


def _data(folder: Path, password: str, account: pwd.struct_passwd | None) -> tuple[Path, Path]:
    """The initialised data folder, and the folder of the programs that fit its version."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if account is not None:
        os.chown(folder, account.pw_uid, account.pw_gid)
    data = folder / "data"
    version = data / "PG_VERSION"
    if version.exists():
        return data, postgres_programs(int(version.read_text()), account)
    programs = postgres_programs(postgres_version(), account)
    fresh = folder / "data.new"
    shutil.rmtree(fresh, ignore_errors=True)
    _initialise(programs, fresh, password, account)
    fresh.rename(data)
    return data, programs


def _initialise(programs: Path, data: Path, password: str, account: pwd.struct_passwd | None) -> None:
    password_file = data.with_name(f"password-{secrets.token_hex(8)}")
    password_file.touch(mode=0o600, exist_ok=False)
    try:
        password_file.write_text(password)
        if account is not None:
            os.chown(password_file, account.pw_uid, account.pw_gid)
        result = subprocess.run(
            [
                *(str(programs / "initdb"), f"--pgdata={data}", f"--username={OWNER}", f"--pwfile={password_file}"),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions"),
            ],
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
            env=_environment(),
            cwd=data.parent,
            capture_output=True,
            check=False,
        )
    finally:
        password_file.unlink()
    if result.returncode != 0:
        raise StackUnavailable(f"PostgreSQL cannot create its data folder {data}:\n{result.stderr.decode()}")


def _is_ready(child: GuardedProcess, port: int, password: str) -> bool:
    """Wait until the server answers, and create the database. Returns False if the server has ended."""
    import psycopg  # noqa: PLC0415 - `prepare` does not need it

    deadline = time.monotonic() + START_DEADLINE_S
    while time.monotonic() < deadline:
        if child.poll() is not None:
            return False
        if is_listening(port):
            try:
                _create_database(port, password)
                return True
            except psycopg.OperationalError as error:
                if error.sqlstate is not None and not error.sqlstate.startswith("57P"):
                    raise StackUnavailable(f"PostgreSQL refuses the login of its owner: {error}") from error
                # The server is still starting (57P03), or it cut the connection (no state).
        time.sleep(0.02)
    raise StackUnavailable(f"PostgreSQL did not answer within {START_DEADLINE_S:.0f} s")


def answers(url: str, timeout_s: float) -> bool:
    """Whether the server answers a new client. A refusal, such as while it recovers, is an answer."""
    import psycopg  # noqa: PLC0415

    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=max(2, round(timeout_s))) as connection:
            return connection.execute("SELECT 1").fetchone() is not None
    except psycopg.OperationalError as error:
        return "FATAL" in str(error)  # the word of the server, and of no client


def _create_database(port: int, password: str) -> None:
    import psycopg  # noqa: PLC0415

    url = f"postgresql://{OWNER}:{password}@{LOOPBACK}:{port}/postgres"
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [OWNER]).fetchone()
        if found is None:
            connection.execute(f"CREATE DATABASE {OWNER}")


def _environment() -> dict[str, str]:
    """The environment of the server. It inherits no variable that could change the behaviour."""
    return {"PATH": search_path(), "LANG": "C", "TZ": "UTC"}
