"""Kafka and Postgres servers that can be killed and restarted, each behind a proxy with a constant address."""

from __future__ import annotations

import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stack.embedded import progress
from stack.environment import StackUnavailable, throw_away_root, unprivileged_account
from stack.guarded import GuardedProcess
from stack.kafka import start_kafka
from stack.ports import LOOPBACK
from stack.postgres import OWNER, database_url, start_postgres
from tests.faults.proxy import Proxy

RESTART_DEADLINE_S = 30.0


class KafkaServer:
    """One broker. Its data survives a restart."""

    def __init__(self, folder: Path) -> None:
        self.proxy = Proxy()
        self._folder = folder
        self._child: GuardedProcess | None = None
        self.start()

    @property
    def bootstrap_servers(self) -> str:
        """The address, through the proxy."""
        return f"{LOOPBACK}:{self.proxy.port}"

    def start(self) -> None:
        """Start the broker. Returns when it answers."""
        broker = start_kafka(
            self._folder / "kafka",
            self._folder / "kafka.log",
            throw_away=False,
            note=progress(is_terminal=False),
            advertised_port=self.proxy.port,
        )
        self._child = broker.child
        self.proxy.retarget(int(broker.bootstrap_servers.rpartition(":")[2]))

    def kill(self) -> None:
        """Send SIGKILL and wait for the end."""
        assert self._child is not None
        self._child.signal(signal.SIGKILL)
        self._child.wait(RESTART_DEADLINE_S)

    def close(self) -> None:
        """Stop the broker and its proxy."""
        if self._child is not None:
            self._child.stop()
        self.proxy.close()


class PostgresServer:
    """One server. Its data survives a restart."""

    def __init__(self, folder: Path) -> None:
        self.proxy = Proxy()
        self._folder = folder
        self._password = secrets.token_urlsafe(16)
        self._child: GuardedProcess | None = None
        self.direct_url = ""
        self.start()

    @property
    def url(self) -> str:
        """The address, through the proxy."""
        return f"postgresql://{OWNER}:{self._password}@{LOOPBACK}:{self.proxy.port}/{OWNER}"

    def start(self) -> None:
        """Start the server. Returns when it answers.

        The start fails while a process of the killed server still holds its shared memory, so it is retried.
        """
        deadline = time.monotonic() + RESTART_DEADLINE_S
        while True:
            try:
                server = start_postgres(
                    self._folder / "postgres", self._folder / "postgres.log", self._password, throw_away=False
                )
                break
            except StackUnavailable:
                if time.monotonic() > deadline:
                    raise
        self._child = server.child
        self.direct_url = database_url(server.port, self._password)
        self.proxy.retarget(server.port)

    def kill(self) -> None:
        """Send SIGKILL to the postmaster and wait for its end."""
        assert self._child is not None
        self._child.signal(signal.SIGKILL)
        self._child.wait(RESTART_DEADLINE_S)

    def close(self) -> None:
        """Stop the server and its proxy."""
        if self._child is not None:
            self._child.stop()
        self.proxy.close()


@contextmanager
def folder_for_servers() -> Iterator[Path]:
    """A folder that the account of Postgres can reach. It is removed at the end of the block."""
    for_unprivileged = unprivileged_account() is not None
    root = Path(tempfile.mkdtemp(prefix="faults-", dir=throw_away_root(for_unprivileged=for_unprivileged)))
    if for_unprivileged:
        root.chmod(0o711)
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)
