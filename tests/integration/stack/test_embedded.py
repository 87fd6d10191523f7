"""The embedded servers end with their parent in every case, leave no files behind, and keep a kept state."""

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from stack import liveness
from stack.embedded import Stack, embedded_stack, remove_state
from stack.environment import StackUnavailable
from stack.postgres_lock import remove_stale_lock
from stack.supervised_child import ChildEvent
from tests.support.paths import PROGRAMS, ROOT

PARENT = PROGRAMS / "stack_parent.py"
ENDED_DEADLINE_S = 30.0


@dataclass(frozen=True)
class ParentReport:
    """The parent process, and its report about the stack that it runs."""

    parent: subprocess.Popen[str]
    kafka: str
    database_url: str
    pids: list[int]
    folders: list[Path]
    accounts: list[int]


@contextmanager
def parent(where: str, ending: str, env: dict[str, str] | None = None, cwd: Path = ROOT) -> Iterator[ParentReport]:
    process = subprocess.Popen(
        [sys.executable, str(PARENT), where, ending],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ) | {"PYTHONPATH": str(ROOT)} | (env or {}),
        cwd=cwd,
        start_new_session=True,
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            line = process.stdout.readline()
            assert line, process.stderr.read()
            fields = json.loads(line)
            fields["folders"] = [Path(folder) for folder in fields["folders"]]
            yield ParentReport(process, **fields)
        finally:
            process.kill()


def wait_until(holds: Callable[[], bool], failure: str) -> None:
    deadline = time.monotonic() + ENDED_DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, failure
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def assert_all_ended(report: ParentReport) -> None:
    wait_until(lambda: not any(map(is_running, report.pids)), "a child outlived its parent")


def assert_nothing_left(report: ParentReport) -> None:
    assert_all_ended(report)
    roots = {folder.parent for folder in report.folders if folder.name != "data"}
    assert roots
    assert not [root for root in roots if root.exists()], "a throw-away folder was left"


def end(report: ParentReport, number: signal.Signals) -> int:
    os.killpg(report.parent.pid, number)  # the whole group, as a terminal does for Ctrl-C
    return report.parent.wait(ENDED_DEADLINE_S)


@pytest.mark.parametrize("ending", ["return", pytest.param("raise", marks=pytest.mark.slow)])
def test_servers_end_with_their_block(ending: str) -> None:
    with parent("throw-away", ending) as report:
        code = report.parent.wait(ENDED_DEADLINE_S)
        assert code == (0 if ending == "return" else 1)
        assert_nothing_left(report)


@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM, signal.SIGKILL]
)
def test_servers_end_with_a_parent_that_gets_a_signal(number: signal.Signals) -> None:
    with parent("throw-away", "wait") as report:
        assert end(report, number) != 0
        assert_nothing_left(report)


def test_servers_end_even_if_their_guards_are_killed_first() -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux ends a child whose guard was killed")
    with parent("throw-away", "wait") as report:
        guards = psutil.Process(report.parent.pid).children()
        for guard in guards:
            guard.kill()
        assert_all_ended(report)
        end(report, signal.SIGKILL)
        for folder in report.folders:
            shutil.rmtree(folder.parent, ignore_errors=True)  # the killed guards cannot remove it


@contextmanager
def kept_state(folder: Path) -> Iterator[Path]:
    """A state folder. It is removed at the end, including a database that is in another folder."""
    state = folder / "state"
    try:
        yield state
    finally:
        location = Path((state / "postgres.location").read_text())
        remove_state(state)
        assert not state.exists()
        assert not location.exists()


def test_a_kept_stack_survives_kill_9_with_its_data(tmp_path: Path) -> None:
    with kept_state(tmp_path) as state:
        with parent(str(state), "wait") as report:
            with psycopg.connect(report.database_url) as connection:
                connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
            topic = NewTopic("kept", num_partitions=1, replication_factor=1)
            admin = AdminClient({"bootstrap.servers": report.kafka})
            admin.create_topics([topic])["kept"].result(10)
            end(report, signal.SIGKILL)
        # Without a wait: the guards may still be stopping the servers, and they hold the lock meanwhile.
        with embedded_stack(state) as stack:
            assert not any(map(is_running, report.pids))
            with psycopg.connect(stack.database_url) as connection:
                assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
            assert (
                "kept"
                in AdminClient({"bootstrap.servers": stack.kafka_bootstrap_servers}).list_topics(timeout=10).topics
            )


def test_one_state_is_used_by_one_run_at_a_time(tmp_path: Path) -> None:
    with (
        kept_state(tmp_path) as state,
        embedded_stack(state, kafka=False),
        pytest.raises(StackUnavailable, match=f"in use by process {os.getpid()}"),
        embedded_stack(state, kafka=False),
    ):
        pytest.fail("a second run got the same state")


def test_several_stacks_run_at_the_same_time(throw_away_stack: Stack, kafka: str, postgres: str) -> None:
    clusters = {
        AdminClient({"bootstrap.servers": address}).list_topics(timeout=10).cluster_id
        for address in (kafka, throw_away_stack.kafka_bootstrap_servers)
    }
    assert len(clusters) == 2
    assert throw_away_stack.database_url != postgres
    assert throw_away_stack.database_url.rpartition(":")[2] not in repr(throw_away_stack)


def test_a_stack_runs_with_folders_that_are_closed_to_others(tmp_path: Path) -> None:
    """Also as root in a repository below a 0700 home, with a 0700 temporary folder. No mode is changed."""
    home = tmp_path / "home"
    work, temporary = home / "work", home / "tmp"
    for folder in (home, work, temporary):
        folder.mkdir(mode=0o700)
    with kept_state(work) as state:
        for where in (str(state), "throw-away"):
            with parent(where, "wait", {"TMPDIR": str(temporary)}, work) as report:
                is_root = os.geteuid() == 0
                assert (report.accounts[1] == 0) is False
                assert report.accounts[0] == (0 if is_root else os.geteuid())
                with psycopg.connect(report.database_url) as connection:
                    assert connection.execute("SELECT 1").fetchone() == (1,)
                end(report, signal.SIGTERM)
                assert_all_ended(report)
        for folder in (home, work, temporary):
            assert folder.stat().st_mode & 0o777 == 0o700
            assert folder.stat().st_uid == os.geteuid()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "Área de Trabalho", "acme, inc", "with  spaces ", "quote'\"s", "back\\slash", "key=value:#!", "日本",
        "%20$HOME`x`",
    ],
)  # fmt: skip
def test_a_stack_runs_below_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    """Kafka split a list of folders at the comma, and read its settings as Latin-1 with escapes."""
    folder = tmp_path / name
    folder.mkdir()
    with kept_state(folder) as state, embedded_stack(state) as stack:
        assert AdminClient({"bootstrap.servers": stack.kafka_bootstrap_servers}).list_topics(timeout=10).brokers
        with psycopg.connect(stack.database_url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert [each.name for each in folder.iterdir()] == ["state"], "nothing is written beside the state"
        assert (state / "kafka" / "data" / "meta.properties").exists()


@pytest.mark.slow
def test_a_supervised_server_that_dies_or_freezes_is_started_again_with_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped process keeps its connections and its port: without a limit, all clients waited for ever."""
    for name, value in (("PROBE_EVERY_S", 0.2), ("FROZEN_AFTER_S", 2.0), ("STARTING_S", 15.0)):
        monkeypatch.setattr(liveness, name, value)
    monkeypatch.setattr("stack.embedded.PROBE_TIMEOUT_S", 1.0)
    events: queue.Queue[ChildEvent] = queue.Queue()
    with kept_state(tmp_path) as state, embedded_stack(state, on_event=events.put) as stack:
        admin = AdminClient({"bootstrap.servers": stack.kafka_bootstrap_servers})
        admin.create_topics([NewTopic("kept", num_partitions=1, replication_factor=1)])["kept"].result(10)
        with psycopg.connect(stack.database_url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        assert stack.kafka_pid is not None
        assert stack.postgres_pid is not None
        os.kill(stack.kafka_pid, signal.SIGKILL)
        os.kill(stack.postgres_pid, signal.SIGQUIT)
        pids = started_again(events, {stack.kafka_pid, stack.postgres_pid})
        wait_until(lambda: has_topic(stack, "kept"), "Kafka did not come back with its topic")
        wait_until(lambda: has_row(stack), "PostgreSQL did not come back with its table")
        for pid in pids:
            for process in (psutil.Process(pid), *psutil.Process(pid).children()):
                process.suspend()
        started_again(events, pids, frozen=pids)
        wait_until(lambda: has_topic(stack, "kept"), "Kafka was frozen and did not come back with its topic")
        wait_until(lambda: has_row(stack), "PostgreSQL was frozen and did not come back with its table")


def started_again(events: queue.Queue[ChildEvent], known: set[int], frozen: AbstractSet[int] = frozenset()) -> set[int]:
    """Wait until both servers have a new process, and those that were frozen were reported. Returns the new pids."""
    started: dict[str, int] = {}
    reported: set[int | None] = set()
    while len(started) < 2 or reported < frozen:
        event = events.get(timeout=ENDED_DEADLINE_S)
        if event.what == "started" and event.pid is not None and event.pid not in known:
            started[event.name] = event.pid
        if event.what == "frozen":
            reported.add(event.pid)
    return set(started.values())


def has_topic(stack: Stack, name: str) -> bool:
    try:
        client = AdminClient({"bootstrap.servers": stack.kafka_bootstrap_servers, "log_level": 0})
        return name in client.list_topics(timeout=2).topics
    except KafkaException:
        return False


def has_row(stack: Stack) -> bool:
    try:
        with psycopg.connect(stack.database_url, connect_timeout=2) as connection:
            return connection.execute("SELECT answer FROM kept").fetchone() == (42,)
    except psycopg.OperationalError:
        return False


@pytest.mark.parametrize(
    "left", ["{pid}\n/gone\n1\n", *(pytest.param(each, marks=pytest.mark.slow) for each in ("", "no number\n"))]
)
def test_a_lock_that_a_crash_left_does_not_keep_the_data_unusable(tmp_path: Path, left: str) -> None:
    """PostgreSQL refuses a lock that names a living process, whatever that process is, and an empty one."""
    with kept_state(tmp_path) as state:
        with embedded_stack(state, kafka=False):
            pass
        lock = Path((state / "postgres.location").read_text()) / "data" / "postmaster.pid"
        lock.write_text(left.format(pid=os.getpid()))
        given = {"shared_buffers": "16MB"}
        with (
            embedded_stack(state, kafka=False, postgres_settings=given) as stack,
            psycopg.connect(stack.database_url) as connection,
        ):
            assert connection.execute("SHOW shared_buffers").fetchone() == ("16MB",), "it runs, with these settings"


def test_a_database_that_a_process_still_uses_is_not_started_twice(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "postmaster.pid").write_text("")
    with subprocess.Popen(["sleep", "600"], cwd=data) as process:
        try:
            with pytest.raises(StackUnavailable, match=f"process {process.pid} still uses the database"):
                remove_stale_lock(data)
        finally:
            process.kill()
    remove_stale_lock(data)
    assert not (data / "postmaster.pid").exists()


def test_an_incorrect_password_is_refused(postgres: str) -> None:
    head, _, tail = postgres.partition("@")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"{head}x@{tail}")


def test_a_failed_start_leaves_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stack.kafka.JVM_FLAGS", ("-Xmx1k",))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("stack.embedded.throw_away_root", lambda *, for_unprivileged: tmp_path)
    with pytest.raises(StackUnavailable, match=r"(?s)Kafka does not start.*heap"), embedded_stack(postgres=False):
        pytest.fail("a broker started with a heap of 1 KB")
    assert not list(tmp_path.glob("campaigns-*"))
