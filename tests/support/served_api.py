"""The API as a process of its own, as a client over HTTP sees it."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import httpx

from simulator.config import SimulatorConfig
from tests.support.api_client import SIMULATOR, make_topics
from tests.support.paths import ROOT
from tests.support.processes import Process, environment, free_port, process
from tests.support.waiting import eventually


@dataclass(frozen=True)
class ServedApi:
    """The address of the API, its process, and the key that it requires."""

    url: str
    process: Process
    key: str = "a-key-of-the-tests-with-enough-characters"

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


@contextmanager
def simulated_templates() -> Iterator[dict[str, str]]:
    """Run a simulator with the template hello_world until the block ends; gives the variables that lead to it."""
    port = free_port()
    child = subprocess.Popen([sys.executable, "-m", "simulator", "--port", str(port)], cwd=ROOT)
    try:
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: _responds(f"{url}/_simulator/state"), "the simulator answers")
        yield {
            "CAMPAIGNS_WHATSAPP_API_URL": url,
            "CAMPAIGNS_WHATSAPP_ACCOUNT_ID": SimulatorConfig().waba_id,
            "CAMPAIGNS_WHATSAPP_ACCESS_TOKEN": "simulated",
        }
    finally:
        child.kill()
        child.wait()


@contextmanager
def served_api(
    database_url: str,
    kafka: str,
    prefix: str,
    folder: Path,
    *,
    with_key: bool = False,
    with_topics: bool = True,
    account: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[ServedApi]:
    """Serve the API on a free port of loopback until the block ends. `account`: variables of `simulated_templates`.

    `with_topics`: create its topics first.
    """
    if with_topics:
        make_topics(kafka, prefix)
    port = free_port()
    settings = {
        "CAMPAIGNS_DATABASE_URL": database_url,
        "CAMPAIGNS_API_PORT": str(port),
        "CAMPAIGNS_WHATSAPP_API_URL": SIMULATOR,
        "CAMPAIGNS_WHATSAPP_PHONE_NUMBER_ID": "15550001",
        **({"CAMPAIGNS_API_KEYS": ServedApi.key} if with_key else {}),
        **account,
    }
    with process("api.server", environment(kafka, prefix, **settings), folder) as running:
        served = ServedApi(f"http://127.0.0.1:{port}", running)
        eventually(lambda: _answers(served), "the API answers")
        yield served


def _answers(served: ServedApi) -> bool:
    assert served.process.child.poll() is None, served.process.log
    return _responds(f"{served.url}/health")


def _responds(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False
