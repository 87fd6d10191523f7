"""The supervisor restarts crashed children, gives up those with invalid settings, and stops all in order."""

import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from stack.guarded import GuardedProcess, Program
from stack.supervisor import Child, ChildEvent, Supervisor
from tests.support.paths import ROOT

DEADLINE_S = 20.0
RUNS = "import signal; print('up', flush=True); signal.pause()"
ENDS_IN_ORDER = f"import signal, sys; signal.signal(15, lambda *_: sys.exit(0)); {RUNS}"
IGNORES_TERM = "import signal; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True)\nwhile True: signal.pause()"


class Events:
    """The events of the supervisor. A test can wait for one."""

    def __init__(self) -> None:
        self._queue: queue.Queue[ChildEvent] = queue.Queue()
        self.seen: list[ChildEvent] = []

    def __call__(self, event: ChildEvent) -> None:
        self._queue.put(event)

    def next(self, what: str, name: str | None = None) -> ChildEvent:
        deadline = time.monotonic() + DEADLINE_S
        while True:
            event = self._queue.get(timeout=max(0.01, deadline - time.monotonic()))
            self.seen.append(event)
            if event.what == what and name in {None, event.name}:
                return event


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def supervisor(tmp_path: Path, events: Events) -> Iterator[Supervisor]:
    with Supervisor(tmp_path / "logs", events, stop_deadline_s=10.0) as running:
        yield running


def python(name: str, code: str) -> Child:
    return Child(name, [sys.executable, "-c", code], {"PATH": os.defpath})


def wait_for_line(path: Path, line: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while line not in path.read_text():
        assert time.monotonic() < deadline, path.read_text()
        time.sleep(0.01)


def test_a_killed_child_is_started_again(supervisor: Supervisor, events: Events) -> None:
    supervisor.start(python("sender-1", RUNS))
    first = supervisor.pid_of("sender-1")
    assert first is not None
    assert supervisor.kill("sender-1") == first
    assert events.next("ended").code == -signal.SIGKILL
    assert events.next("started").pid == supervisor.pid_of("sender-1") != first
    assert supervisor.restarts_of("sender-1") == 1
    assert not psutil.pid_exists(first)


def test_several_processes_of_a_kind_are_distinguished(supervisor: Supervisor) -> None:
    supervisor.start(python("sender-1", RUNS))
    supervisor.start(python("sender-2", RUNS))
    assert supervisor.names() == ["sender-1", "sender-2"]
    assert supervisor.pid_of("sender-1") != supervisor.pid_of("sender-2")
    with pytest.raises(ValueError, match="sender-2"):
        supervisor.start(python("sender-2", RUNS))


def test_invalid_settings_are_not_retried(supervisor: Supervisor, events: Events) -> None:
    supervisor.start(python("api", "import sys; sys.exit(64)"))
    assert supervisor.wait_for_failure(DEADLINE_S) == "api"
    assert supervisor.pid_of("api") is None
    assert events.next("given_up").code == 64
    assert "restarting" not in {event.what for event in events.seen}


def test_a_child_that_is_stopped_from_outside_is_started_again(supervisor: Supervisor, events: Events) -> None:
    """A process that ends in order after a signal exits with 0. It used to stay down until the next `up`."""
    supervisor.start(python("sink-1", ENDS_IN_ORDER))
    first = supervisor.pid_of("sink-1")
    wait_for_line(supervisor.log_of("sink-1"), "up")
    supervisor.kill("sink-1", signal.SIGTERM)
    assert events.next("restarting").code == 0
    assert events.next("started").pid not in {None, first}
    assert supervisor.wait_for_failure(0.0) is None


def test_a_program_that_does_not_exist_is_retried_with_a_backoff(supervisor: Supervisor, events: Events) -> None:
    supervisor.start(Child("nothing", ["/nonexistent/program"], {}))
    delays = [events.next("restarting").delay_s for _ in range(3)]
    assert delays == [0.2, 0.4, 0.8]


def test_a_requested_restart_has_no_backoff(supervisor: Supervisor, events: Events) -> None:
    supervisor.start(python("sink-1", RUNS))
    first = supervisor.pid_of("sink-1")
    wait_for_line(supervisor.log_of("sink-1"), "up")
    supervisor.restart("sink-1")
    assert supervisor.pid_of("sink-1") not in {None, first}
    assert events.next("restarting").delay_s == 0.0


def test_the_last_started_child_is_stopped_first(supervisor: Supervisor, events: Events) -> None:
    for name in ("ingress", "sink-1", "sink-2", "api"):
        supervisor.start(python(name, RUNS))
    supervisor.stop()
    ended = [events.next("ended").name for _ in range(4)]
    assert ended[0] == "api"
    assert set(ended[1:3]) == {"sink-1", "sink-2"}
    assert ended[3] == "ingress"


def test_a_process_that_does_not_stop_is_killed_at_the_deadline(tmp_path: Path, events: Events) -> None:
    with Supervisor(tmp_path, events, stop_deadline_s=0.3) as supervisor:
        supervisor.start(python("deaf", IGNORES_TERM))
        wait_for_line(supervisor.log_of("deaf"), "deaf")
    assert events.next("ended").code == -signal.SIGKILL


def test_the_output_of_a_child_is_in_its_log(supervisor: Supervisor, events: Events) -> None:
    supervisor.start(python("talks", "import sys; print('out'); print('err', file=sys.stderr)"))
    events.next("ended")
    assert set(supervisor.log_of("talks").read_text().split()) == {"out", "err"}
    assert supervisor.log_of("talks").stat().st_mode & 0o077 == 0


def test_children_and_grandchildren_end_with_a_killed_supervisor(tmp_path: Path) -> None:
    grandchild = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import signal; signal.pause()'])"
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom stack.supervisor import Child, Supervisor\n"
        f"supervisor = Supervisor(Path({str(tmp_path)!r}))\n"
        f"supervisor.start(Child('a', [sys.executable, '-c', {grandchild!r}], {{}}))\n"
        "print(supervisor.pid_of('a'), flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        deadline = time.monotonic() + DEADLINE_S
        while not child.children():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        family = [child, *child.children()]
        parent.kill()
    _, alive = psutil.wait_procs(family, timeout=DEADLINE_S)
    assert not alive


def test_a_secret_of_the_environment_is_not_in_any_command_line(tmp_path: Path) -> None:
    program = Program([sys.executable, "-c", RUNS], tmp_path / "log", env={"TOKEN": "s3cret"})
    assert "s3cret" not in repr(program)
    with GuardedProcess(program) as child:
        guard = psutil.Process(child.pid).parent()
        assert guard is not None
        assert not any("s3cret" in word for word in guard.cmdline())
