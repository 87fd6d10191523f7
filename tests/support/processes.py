"""Runs one process of the pipeline as in production: a child with an environment, signals and exit codes."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.waiting import DEADLINE_S

COMMAND_DEADLINE_S = 60.0
PROGRAM = """
import importlib, sys
from runtime.process import run_process
from runtime.settings import read_settings
sys.exit(run_process(sys.argv[1], importlib.import_module(sys.argv[2]).run, read_settings()))
"""


class Process:
    """A running child and its log."""

    def __init__(self, child: "subprocess.Popen[bytes]", log: Path) -> None:
        self.child = child
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.child.send_signal(number)
        return self.child.wait(DEADLINE_S)

    def wait(self) -> int:
        return self.child.wait(DEADLINE_S)


@contextmanager
def process(module: str, environment: Mapping[str, str], folder: Path) -> Iterator[Process]:
    """Start `module`.run as a process in `folder`; it is killed at the end if it still runs."""
    name = module.rpartition(".")[2]
    log = folder / f"{name}-{time.monotonic_ns()}.log"
    with log.open("wb") as stream:
        child = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, name, module],
            cwd=folder,
            env=_only(environment),
            stdout=stream,
            stderr=stream,
        )
    running = Process(child, log)
    try:
        yield running
    except BaseException:
        print(running.log, file=sys.stderr)
        raise
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()


def start_command(environment: Mapping[str, str], folder: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    """Start `campaigns` with these arguments, as users do."""
    return subprocess.Popen(
        [sys.executable, "-m", "cli", *arguments],
        cwd=folder,
        env=_only(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def run_command(environment: Mapping[str, str], folder: Path, *arguments: str) -> tuple[int, bytes, str]:
    """Run `campaigns` to its end. Returns its exit code, stdout and stderr."""
    with start_command(environment, folder, *arguments) as child:
        try:
            out, error = child.communicate(timeout=COMMAND_DEADLINE_S)
        finally:
            child.kill()
    return child.returncode, out, error.decode()


def _only(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a child, without settings of the shell that started the tests."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("CAMPAIGNS_")}
    return {**clean, "PYTHONPATH": str(ROOT), **environment}


def environment(kafka: str, prefix: str, **more: str) -> dict[str, str]:
    """The settings that every process needs."""
    return {
        "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": kafka,
        "CAMPAIGNS_DATABASE_URL": "postgresql://127.0.0.1:1/none",
        "CAMPAIGNS_TOPIC_PREFIX": prefix,
        "CAMPAIGNS_CALLBACK_SECRET": "callback-secret",
        **more,
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
