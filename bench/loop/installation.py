"""Runs a whole installation: `campaigns up` with its own Kafka and Postgres, and a simulator beside it."""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import psycopg

from bench.children import ROOT, accepts, child, wait_until
from bench.loop.ledger import StoredRow
from bench.loop.side import Side
from stack.ports import free_ports

SECRETS = {
    "WHATSAPP_ACCESS_TOKEN": "bench-token-bench-token-bench-token",
    "WEBHOOK_APP_SECRETS": "bench-secret-bench-secret-bench-secret",
    "WEBHOOK_VERIFY_TOKEN": "bench-verify-bench-verify-bench",
    "CALLBACK_SECRET": "bench-callback-bench-callback-bench",
}
NUMBER = "106540352242922"
ADDED_TOGETHER = 5_000
FIRST_NUMBER = 12_122_000_000
ANSWER_S = 120.0


def simulator_config(port: int, ingress_port: int) -> dict[str, object]:
    """Every message is sent and delivered, and half of them are read: 2.5 statuses each. Nothing else goes wrong.

    The delays are constant and short, so that the end of a run waits for no late reader.
    """
    return {
        "port": port,
        "webhook_url": f"http://127.0.0.1:{ingress_port}/webhooks/whatsapp",
        "app_secret": SECRETS["WEBHOOK_APP_SECRETS"],
        "access_token": SECRETS["WHATSAPP_ACCESS_TOKEN"],
        "us_marketing": True,
        "statuses": {
            "sent": {"median_s": 0.1, "p99_s": 0.1},
            "delivered": {"median_s": 0.2, "p99_s": 0.2},
            "read": {"median_s": 0.3, "p99_s": 0.3},
            "read_rate": 0.5,
        },
    }


@dataclass(frozen=True, slots=True)
class RunningStack:
    """A running installation, and its simulator."""

    side: Side
    folder: Path
    api: str
    simulator: str
    database_url: str
    kafka: str
    pid: int
    simulator_pid: int

    def campaign(self, recipients: int, first: int = 0) -> str:
        """Create a campaign with so many recipients, and return its id. Nothing is sent yet."""
        draft = {
            "name": f"loop {first}",
            "template_name": "spring_offer",
            "language_code": "en_US",
            "daily_send_limit": None,
            **({"canary": False} if self.side.has_canary else {}),
        }
        made = self._post("", draft)
        for start in range(first, first + recipients, ADDED_TOGETHER):
            count = min(ADDED_TOGETHER, first + recipients - start)
            numbers = [f"+{FIRST_NUMBER + start + n}" for n in range(count)]
            added = self._post(f"/{made['id']}/recipients", {"phone_numbers": numbers})
            assert added["added"] == count, "every number is valid"
        return str(made["id"])

    def activate(self, campaign: str) -> None:
        """Activate a campaign."""
        self._post(f"/{campaign}/activate", {})

    def cancel(self, campaign: str) -> None:
        """Cancel a campaign."""
        self._post(f"/{campaign}/cancel", {})

    def stats(self, campaign: str) -> dict[str, Any]:
        """The counters of a campaign."""
        return self._get(f"{self.api}/api/marketing/campaigns/{campaign}/stats")

    def state(self) -> dict[str, Any]:
        """The counters of the simulator."""
        return self._get(f"{self.simulator}/_simulator/state")

    def ledger(self) -> list[dict[str, Any]]:
        """What the simulator knows of each post."""
        with urllib.request.urlopen(f"{self.simulator}/_simulator/ledger", timeout=ANSWER_S) as answer:  # noqa: S310
            return [orjson.loads(line) for line in answer if line.strip()]

    def rows(self) -> list[StoredRow]:
        """The recipients as Postgres has them."""
        with psycopg.connect(self.database_url) as connection:
            found = connection.execute("SELECT phone_number, status, whatsapp_message_id FROM campaign_recipients")
            return [StoredRow(*each) for each in found.fetchall()]

    def _get(self, url: str) -> dict[str, Any]:
        with urllib.request.urlopen(url, timeout=ANSWER_S) as answer:  # noqa: S310 - an address of our own
            found: dict[str, Any] = orjson.loads(answer.read())
            return found

    def _post(self, path: str, body: object) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - as above
            f"{self.api}/api/marketing/campaigns{path}", orjson.dumps(body), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:  # noqa: S310 - as above
            found: dict[str, Any] = orjson.loads(answer.read())
            return found


@contextmanager
def installed(side: Side, folder: Path, **settings: str) -> Iterator[RunningStack]:
    """Start an installation in an empty folder. `settings`: names without their prefix."""
    folder.mkdir(parents=True)
    ports = dict(zip(("api", "ingress", "simulator"), free_ports(3), strict=True))
    config, log = folder / "simulator.json", folder / "up.log"
    config.write_text(json.dumps(simulator_config(ports["simulator"], ports["ingress"])))
    simulator = f"http://127.0.0.1:{ports['simulator']}"
    given = {**SECRETS, "WHATSAPP_API_URL": simulator, "WHATSAPP_PHONE_NUMBER_ID": NUMBER, **settings}
    environment = {f"CAMPAIGNS_{name}": value for name, value in given.items()} | {"PYTHONPATH": str(side.root)}
    argv: list[str | Path] = [side.python, "-m", "cli", "up", "--json"]
    argv += ["--api-port", str(ports["api"]), "--ingress-port", str(ports["ingress"])]
    with (
        child([sys.executable, "-m", "simulator", "--config", config], folder / "simulator.log", folder=ROOT) as beside,
        child(argv, log, environment, folder) as running,
    ):
        wait_until(lambda: accepts(ports["simulator"]), beside, folder / "simulator.log")
        wait_until(lambda: "\n{" in log.read_text(encoding="utf-8"), running, log)
        known = _published(folder / ".campaigns" / "env")
        api = f"http://127.0.0.1:{ports['api']}"
        servers = known["CAMPAIGNS_DATABASE_URL"], known["CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS"]
        yield RunningStack(side, folder, api, simulator, *servers, running.pid, beside.pid)


def _published(file: Path) -> Mapping[str, str]:
    """The addresses that `up` writes for other commands."""
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if "=" in line]
    return dict(line.split("=", 1) for line in lines)


def until(holds: Callable[[], bool], limit_s: float, every_s: float) -> bool:
    """Wait until it holds, up to a limit. Returns whether it holds."""
    end = time.monotonic() + limit_s
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(every_s)  # the progress shows in the answers of the installation only
    return True
