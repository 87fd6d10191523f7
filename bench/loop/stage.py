"""The whole loop on one machine: sends and their statuses, of this code and of an earlier commit."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import psutil

from bench.contest import Arena, Case, Contest, Contestant, Run
from bench.idle.processes import POSTGRES, KindUse, ProcessUse, by_kind, uses
from bench.loop.installation import RunningStack, installed, until
from bench.loop.ledger import right_share
from bench.loop.side import COMMIT, EARLIER, Side, earlier, is_in_history, present

POLL_S = 0.25
DEADLINE_S = 150.0
RATE = "5000"
"""More than any side reaches, so the machine is the limit."""
VERIFIED_S = 60.0
SMOKE_MESSAGES = 40
WARM_UP = 4_000
"""Messages before the measured ones. The compiler of Java and the first pages of tables cost the same in any run."""
SHOWN = {"sender": "sender", POSTGRES: "Postgres", "Kafka": "Kafka", "simulator": "simulator"}
"""The columns of the table, by the kind of the process: the largest parts. More columns make the table too wide."""
EARLIER_SHARE = 0.6
"""The share of the messages that the earlier commit gets: a slow side needs as long for fewer."""


@dataclass(frozen=True, slots=True)
class LoopLoad:
    """What is sent: one message to each of so many people."""

    messages: int


@contextmanager
def _opened(arena: Arena, *, is_present: bool) -> Iterator[Callable[[LoopLoad], Run]]:
    side = present() if is_present else earlier()
    yield partial(_run, arena, side, 1.0 if is_present else EARLIER_SHARE)


def _run(arena: Arena, side: Side, share: float, sends: LoopLoad) -> Run:
    messages, warm_up = int(arena.items(sends.messages, SMOKE_MESSAGES) * share), arena.items(WARM_UP, SMOKE_MESSAGES)
    with installed(side, arena.folder / arena.prefix(), WHATSAPP_MPS=RATE) as running:
        campaigns = [running.campaign(warm_up), running.campaign(messages, warm_up)]
        running.activate(campaigns[0])
        is_warm = until(partial(is_complete, running, campaigns, warm_up), DEADLINE_S, POLL_S)
        before, began = process_uses(running), time.monotonic()
        running.activate(campaigns[1])
        is_done = is_warm and until(partial(is_complete, running, campaigns, warm_up + messages), DEADLINE_S, POLL_S)
        seconds = time.monotonic() - began
        found = by_kind(before, process_uses(running), seconds)
        right = right_share(running.ledger(), running.rows()) if is_done and verifies(running) else 0.0
    cpu_s = sum(use.cpu_share for use in found) * seconds
    return Run(
        messages, seconds, cpu_s, sum(use.pss_mb for use in found), right, _by_process(found, seconds / messages)
    )


def _by_process(found: list[KindUse], seconds_a_message: float) -> dict[str, float]:
    """Microseconds of CPU a message, for the processes that need most. The heading of a column is short."""
    shares = {use.kind: use.cpu_share * seconds_a_message * 1e6 for use in found}
    return {heading: shares.get(kind, 0.0) for kind, heading in SHOWN.items()}


def process_uses(running: RunningStack) -> dict[int, ProcessUse]:
    """What each process of an installation and of its simulator has used so far."""
    return uses(psutil.Process(running.pid)) | uses(psutil.Process(running.simulator_pid))


def is_complete(running: RunningStack, campaigns: Sequence[str], messages: int) -> bool:
    """Whether the simulator has sent every status of all campaigns, and their counters have all of them."""
    state = running.state()
    if state["accepted"] < messages or not state["quiet"]:
        return False
    counted = [running.stats(campaign) for campaign in campaigns]
    statuses = sum(int(each["sent"] + each["delivered"] + each["read"]) for each in counted)
    return statuses == int(state["statuses_planned"])


def verifies(running: RunningStack) -> bool:
    """Whether `campaigns verify` finds no difference between counters, rows and ledger."""
    environment = {"PYTHONPATH": str(running.side.root), "PATH": "/usr/bin:/bin"}
    argv = [str(running.side.python), "-m", "cli", "verify"]
    done = subprocess.run(
        argv, cwd=running.folder, env=environment, capture_output=True, timeout=VERIFIED_S, check=False
    )
    return done.returncode == 0


LOOP = Contest(
    "loop",
    "Whole loop",
    "`campaigns up` with Kafka, Postgres and the simulator, all on this machine. A campaign is activated at a rate "
    "that the machine cannot reach. The run ends when every status of every message is counted, so its start and its "
    f"end are in the rate. {WARM_UP:,} messages before it are not counted. `items/s` are messages, with 2.5 statuses "
    "each. CPU is that of all processes, servers and simulator included. The columns at the right are its largest "
    "parts, in microseconds a message. Both sides have the same simulator, the present one.",
    Contestant("campaign-streams", "As `campaigns up` starts it.", partial(_opened, is_present=True)),
    (
        Contestant(
            f"commit {COMMIT}", "As its own `campaigns up` starts it.", partial(_opened, is_present=False), EARLIER
        ),
    )
    if is_in_history()
    else (),
    (Case("2.5 statuses a message", LoopLoad(60_000)),),
    (
        "Several machines: here everything shares the cores.",
        "Bursts of faults: `make faults` and `make chaos` have them.",
    ),
    needs_kafka=False,
    is_large=True,
)
