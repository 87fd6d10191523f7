"""A Postgres primary with a synchronous standby. Either can be killed, and the standby can be promoted."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psycopg

from stack.environment import StackUnavailable, postgres_version, unprivileged_account
from stack.guarded import GuardedProcess
from stack.ports import LOOPBACK, free_ports
from stack.postgres import OWNER, database_url, start_postgres
from stack.postgres_binaries import postgres_programs
from tests.support.waiting import eventually

STOP_DEADLINE_S = 30.0
STREAM_DEADLINE_S = 60.0
SETTINGS = {
    "max_wal_size": "96MB",
    "min_wal_size": "32MB",
    "wal_keep_size": "64MB",
    "shared_buffers": "64MB",
    # A primary without its standby ends a replication connection that is silent.
    "wal_sender_timeout": "10s",
}
STREAMS = "SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')"


@dataclass
class Database:
    """One of the two servers. Its port stays the same, also after a restart."""

    name: str
    folder: Path
    port: int
    child: GuardedProcess | None = None

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self.child is not None and self.child.poll() is None


class Databases:
    """The primary and its standby."""

    def __init__(self, first: Path, second: Path) -> None:
        self._password = secrets.token_urlsafe(16)
        ports = free_ports(2)
        self.primary = Database("east", first / "postgres", ports[0])
        self.standby = Database("west", second / "postgres", ports[1])
        self._ports = ports

    @property
    def url(self) -> str:
        """The address for our processes: both servers, and the one that accepts writes."""
        hosts = ",".join(f"{LOOPBACK}:{port}" for port in self._ports)
        return f"postgresql://{OWNER}:{self._password}@{hosts}/{OWNER}?target_session_attrs=read-write"

    @property
    def primary_url(self) -> str:
        """The address of the server that is the primary now."""
        return database_url(self.primary.port, self._password)

    def start(self) -> None:
        """Start the primary, and a new standby of it."""
        self.start_server(self.primary)
        self.add_standby()

    def start_server(self, database: Database) -> None:
        """Start a server with its data. It returns when the server answers.

        The start fails while a process of a killed server still holds its shared memory, so it is tried again.
        """

        def child() -> GuardedProcess | None:
            log = database.folder.parent.with_name(f"postgres-{database.name}.log")
            try:
                return start_postgres(
                    database.folder, log, self._password, throw_away=False, port=database.port, more=SETTINGS
                ).child
            except StackUnavailable:
                return None

        database.child = eventually(child, f"the database {database.name} starts", STREAM_DEADLINE_S)

    def add_standby(self) -> None:
        """Copy the primary, start the copy as its standby, and let commits wait for it."""
        standby = self.standby
        shutil.rmtree(standby.folder, ignore_errors=True)
        self._copy(standby)
        self.start_server(standby)
        self._configure(self.primary, f"synchronous_standby_names = {standby.name}")
        eventually(lambda: self._count(STREAMS) == 1, "the standby is synchronous", STREAM_DEADLINE_S)

    def detach(self) -> None:
        """Let the standby follow no more, and let no commit wait for it: from now on it lacks what is committed."""
        self._configure(self.primary, "synchronous_standby_names = ''")
        self._configure(self.standby, "primary_conninfo = ''")
        following = "SELECT count(*) FROM pg_stat_replication"
        eventually(lambda: self._count(following) == 0, "the standby follows no more", STREAM_DEADLINE_S)

    def promote(self) -> None:
        """Kill the primary and make the standby the primary. Then there is no standby."""
        self.kill(self.primary)
        self.primary, self.standby = self.standby, self.primary
        with psycopg.connect(self.primary_url, autocommit=True) as connection:
            connection.execute("SELECT pg_promote(wait => true)")
        # A copy of a primary has its settings, and no standby follows the new primary yet: commits would wait forever.
        self._configure(self.primary, "synchronous_standby_names = ''")

    def kill(self, database: Database) -> None:
        """Send SIGKILL to the postmaster and wait for its end."""
        assert database.child is not None
        database.child.signal(signal.SIGKILL)
        database.child.wait(STOP_DEADLINE_S)

    def restore(self) -> None:
        """Start a server that does not run, and give the primary a standby if it has none."""
        if not self.primary.is_running:
            self.start_server(self.primary)
        eventually(self._answers, "the primary accepts writes", STREAM_DEADLINE_S)
        if not self.standby.is_running or not self._count(STREAMS):
            if self.standby.is_running:
                self.kill(self.standby)
            self.add_standby()

    def close(self) -> None:
        """Stop both servers: the standby first, so that no commit waits for it."""
        for database in (self.standby, self.primary):
            if database.child is not None:
                database.child.stop()

    def _copy(self, standby: Database) -> None:
        account = unprivileged_account()
        standby.folder.mkdir(mode=0o700, parents=True)
        if account is not None:
            os.chown(standby.folder, account.pw_uid, account.pw_gid)
        source = f"host={LOOPBACK} port={self.primary.port} user={OWNER} application_name={standby.name}"
        subprocess.run(
            [
                str(postgres_programs(postgres_version(), account) / "pg_basebackup"),
                *("--pgdata", str(standby.folder / "data"), "--dbname", source, "--write-recovery-conf"),
                *("--wal-method", "stream", "--checkpoint", "fast", "--no-sync"),
            ],
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
            env={"LANG": "C", "TZ": "UTC", "PGPASSWORD": self._password},
            cwd=standby.folder,
            capture_output=True,
            check=True,
            timeout=STREAM_DEADLINE_S,
        )

    def _configure(self, database: Database, setting: str) -> None:
        url = database_url(database.port, self._password)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(b"ALTER SYSTEM SET " + setting.encode())
            connection.execute("SELECT pg_reload_conf()")

    def _count(self, statement: str) -> int:
        with psycopg.connect(self.primary_url, autocommit=True) as connection:
            found = connection.execute(statement.encode()).fetchone()
        assert found is not None
        return int(found[0])

    def _answers(self) -> bool:
        try:
            return self._count("SELECT (NOT pg_is_in_recovery())::integer") == 1
        except psycopg.OperationalError:
            return False
