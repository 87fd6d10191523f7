"""The command prints its address, ends on a signal with 0, and has an exit code for each kind of failure."""

import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import orjson
import pytest

COMMAND = [sys.executable, "-m", "simulator"]
DEADLINE_S = 20


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_its_address_and_ends_on_a_signal(number: signal.Signals) -> None:
    arguments = [*COMMAND, "--port", "0", "--json", "--seed", "5", "--app-secret", "tell-no-one"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        address = orjson.loads(process.stdout.readline())
        with urllib.request.urlopen(address["url"] + "/_simulator/config", timeout=DEADLINE_S) as answer:
            shown = answer.read()
        process.send_signal(number)
        assert process.wait(DEADLINE_S) == 0
        logged = process.stderr.read()
    assert orjson.loads(shown)["seed"] == 5
    assert b"tell-no-one" not in shown + logged


def test_a_taken_port_is_transient() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run([*COMMAND, "--port", port], capture_output=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 75
    assert b"cannot listen" in done.stderr


def test_invalid_settings_are_a_usage_error(tmp_path: Path) -> None:
    file = tmp_path / "invalid.json"
    file.write_bytes(b'{"answers": {"hang_share": 2}}')
    for invalid in (["--preset", "chaotic"], ["--config", str(file)], ["--config", str(tmp_path / "none")]):
        done = subprocess.run([*COMMAND, *invalid], capture_output=True, timeout=DEADLINE_S, check=False)
        assert done.returncode == 64, done.stderr
