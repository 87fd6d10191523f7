"""The API as a process of its own, as a client over HTTP sees it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.api_client import SIMULATOR, make_topics
from tests.support.processes import Process, environment, free_port, process
from tests.support.waiting import eventually


@dataclass(frozen=True)
class ServedApi:
    """The address of the API, its process, and the key that it requires."""

    url: str
    process: Process
    key: str = "a-key-of-the-tests-with-enough-characters"


@contextmanager
def served_api(
    database_url: str, kafka: str, prefix: str, folder: Path, *, with_key: bool = False
) -> Iterator[ServedApi]:
    """Serve the API on a free port of loopback until the block ends."""
    make_topics(kafka, prefix)
    port = free_port()
    settings = {
        "CAMPAIGNS_DATABASE_URL": database_url,
        "CAMPAIGNS_API_PORT": str(port),
        "CAMPAIGNS_WHATSAPP_API_URL": SIMULATOR,
        "CAMPAIGNS_WHATSAPP_PHONE_NUMBER_ID": "15550001",
        **({"CAMPAIGNS_API_KEYS": ServedApi.key} if with_key else {}),
    }
    with process("api.server", environment(kafka, prefix, **settings), folder) as running:
        served = ServedApi(f"http://127.0.0.1:{port}", running)
        eventually(lambda: _answers(served), "the API answers")
        yield served


def _answers(served: ServedApi) -> bool:
    assert served.process.child.poll() is None, served.process.log
    try:
        return httpx.get(f"{served.url}/health").is_success
    except httpx.TransportError:
        return False
