"""The servers of the tests: embedded throw-away servers, containers, or the servers that the environment names.

`kafka` and `postgres` start when the first test needs them, and run during the whole session. `database_url` is a
fresh, migrated database for each test.
"""

import os
import re
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import hypothesis
import psycopg
import pytest

from stack.embedded import Stack, embedded_stack

if TYPE_CHECKING:
    from tests.support.spans import Spans

GIVEN_KAFKA = "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS"
GIVEN_DATABASE = "CAMPAIGNS_DATABASE_URL"
MEMORY = Path("/dev/shm")
"""A file system in memory (Linux). A database has 300 files: a copy took 22 ms there and 165 ms on a disk."""
ROOM_BYTES = 2 * 1024**3
"""A container may have only 64 MB there. Each worker needs a few hundred."""

THREAD_END_S = 10.0
"""A thread that connects to a silent address ends after its time-outs. One that hangs in a C library never ends."""
POOL_THREAD = re.compile(r".+_\d+")
"""The name of a pool's thread. A pool may live as long as its process, and its threads wait."""

TIMEOUT_S = 120.0
LONG_TIMEOUT_S = 900.0
"""A fault has several deadlines of minutes, which name the condition that failed. This limit must not come first."""


hypothesis.settings.register_profile(
    "shared_machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("shared_machine")
"""No test asserts a time, so no example fails because another process had the processor."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that chooses the servers. No test knows which it uses."""
    parser.addoption(
        "--servers", choices=("embedded", "containers"), default="embedded", help="where Kafka and Postgres run"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test a time limit. pytest-timeout fails a test that hangs, so that the test is named."""
    for item in items:
        is_long = item.get_closest_marker("slow") or item.get_closest_marker("faults")
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(LONG_TIMEOUT_S if is_long else TIMEOUT_S))


@pytest.fixture(autouse=True)
def threads_have_ended() -> Iterator[None]:
    """Wait until the threads that a test started have ended.

    A thread that goes on can change the state of the next test. A retry of the collector of traces drew a random
    number while Hypothesis drew an example, and Hypothesis reported the example as flaky.
    """
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + THREAD_END_S
    for thread in set(threading.enumerate()) - before:
        if not POOL_THREAD.fullmatch(thread.name):
            thread.join(max(0.0, deadline - time.monotonic()))


@pytest.fixture
def spans() -> Iterator["Spans"]:
    """The spans that this process records. All attempts are recorded."""
    from runtime.tracing import TRACES  # noqa: PLC0415 - as below
    from tests.support.spans import Spans  # noqa: PLC0415 - slow to import, and few tests need it

    recorded = Spans()
    TRACES.use(recorded.recorder)
    yield recorded
    TRACES.use(None)


@pytest.fixture(scope="session")
def kafka(pytestconfig: pytest.Config) -> Iterator[str]:
    """Bootstrap servers of a broker. Tests share it, so each uses its own topic prefix (`topic_prefix`)."""
    given = os.environ.get(GIVEN_KAFKA)
    if given:
        yield given
    elif pytestconfig.getoption("servers") == "containers":
        from tests.support.containers import kafka_container  # noqa: PLC0415 - slow to import, and needed here alone

        with kafka_container() as address:
            yield address
    else:
        with embedded_stack(postgres=False) as stack:
            yield stack.kafka_bootstrap_servers


@pytest.fixture(scope="session")
def postgres(pytestconfig: pytest.Config) -> Iterator[str]:
    """Address of a server on which databases may be created."""
    given = os.environ.get(GIVEN_DATABASE)  # for example a server of another version
    if given:
        yield given
    elif pytestconfig.getoption("servers") == "containers":
        from tests.support.containers import postgres_container  # noqa: PLC0415 - as above

        with postgres_container() as address:
            yield address
    else:
        with ExitStack() as running:
            with pytest.MonkeyPatch.context() as patch:
                if _has_room(MEMORY):
                    patch.setattr(tempfile, "tempdir", str(MEMORY))
                server = running.enter_context(embedded_stack(kafka=False))
            yield server.database_url


@pytest.fixture
def topic_prefix() -> str:
    """The prefix of this test's topics and groups."""
    return f"t{uuid.uuid4().hex[:10]}."


@pytest.fixture(scope="session")
def migrated_template(postgres: str) -> Iterator[str]:
    """A migrated database that is only copied, because migrating takes much longer than copying."""
    from tables.migrate import migrate  # noqa: PLC0415 - a broken migration must not break unit tests

    name = _create(postgres)
    migrate(_address(postgres, name))
    yield name
    _drop(postgres, name)


@pytest.fixture
def database_url(postgres: str, migrated_template: str) -> Iterator[str]:
    """A fresh, migrated database for one test."""
    name = _create(postgres, template=migrated_template)
    yield _address(postgres, name)
    _drop(postgres, name)


@pytest.fixture
def empty_database_url(postgres: str) -> Iterator[str]:
    """A fresh database without any schema, for the tests of migrations."""
    name = _create(postgres)
    yield _address(postgres, name)
    _drop(postgres, name)


@pytest.fixture
def throw_away_stack() -> Iterator[Stack]:
    """A separate broker and server, for tests that stop or kill them."""
    with embedded_stack() as stack:
        yield stack


def _has_room(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > ROOM_BYTES


def _create(server: str, template: str = "template1") -> str:
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')  # PostgreSQL 15+
    return name


def _drop(server: str, name: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _address(server: str, name: str) -> str:
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
