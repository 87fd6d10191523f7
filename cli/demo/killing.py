"""Kills a sender with SIGKILL while WhatsApp holds unanswered requests of it, and records its open attempts.

The simulator reveals the sender of a request, because each sender uses another version of the API. The claims of the
killed sender are read from the ledger and confirmed at the end by the posts of the simulator (`held_by`).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from simulator.client import SimulatorClient
from stack.supervisor import Supervisor
from verdict.judge import Held
from verdict.rows import JudgeConnection, read_open_claims

VERSIONS = {"v25.0": "sender-1", "v24.0": "sender-2"}
"""API version to the process that uses it."""
HOLD_S = 6.0
"""Shorter than the HTTP timeout of the sender, so that only the kill makes an outcome unknown."""
GATHER_S = 2.5
"""After this time one request in flight is enough."""
GIVE_UP_S = 45.0
LAST_STATEMENT_S = 1.3
"""A statement of the sender ends within 1 s. After this time no statement of a killed sender changes the ledger. Until
then a claim that it had sent to a busy server may still take effect. Its successor needs longer to claim."""
POLL_S = 0.02


class NothingHeld(Exception):
    """The simulator never held a request of a sender: the run is too small or too slow for a verdict."""


@dataclass(frozen=True, slots=True)
class Killing:
    """The killed process, and its open attempts."""

    victim: str
    version: str
    pid: int
    at: float
    in_flight: int
    """How many of its requests the simulator had received and not answered."""
    open_claims: frozenset[Held] = frozenset()
    """All attempts without an answer after every statement from before the kill had ended."""


def kill_while_held(
    simulator: SimulatorClient, supervisor: Supervisor, target: int, note: Callable[[str], None]
) -> Killing:
    """Hold all answers until a sender has enough open requests, kill it, and release the answers."""
    simulator.hold(HOLD_S)
    try:
        killing = _kill(simulator, supervisor, target)
    finally:
        simulator.release()
    note(
        f"killed {killing.victim} (pid {killing.pid}) with SIGKILL while WhatsApp held "
        f"{killing.in_flight} of its requests unanswered"
    )
    return killing


def note_claims(killing: Killing, connection: JudgeConnection) -> Killing:
    """Record the open attempts, once no statement of the killed process can still run."""
    over_at = killing.at + LAST_STATEMENT_S
    time.sleep(max(0.0, over_at - time.time()))  # Postgres may still run a statement of the process until then
    return replace(killing, open_claims=frozenset(read_open_claims(connection, over_at)))


def held_by(
    killing: Killing, tokens: Mapping[Held, str], versions_of_posts: Mapping[Held, Collection[str]]
) -> frozenset[Held]:
    """The open claims of the killed process: no other process posted one of their attempts.

    A claim covers several attempts under one token. The process that posted one of them owns it.
    """
    posted_by: dict[str, set[str]] = {}
    for attempt, versions in versions_of_posts.items():
        if attempt in tokens:
            posted_by.setdefault(tokens[attempt], set()).update(versions)
    return frozenset(
        attempt for attempt in killing.open_claims if posted_by.get(tokens[attempt], set()) <= {killing.version}
    )


def _kill(simulator: SimulatorClient, supervisor: Supervisor, target: int) -> Killing:
    started = time.monotonic()
    while True:
        held = Counter(entry["version"] for entry in simulator.unanswered())
        waited_s = time.monotonic() - started
        for version, count in held.most_common(1):
            victim = VERSIONS[version]
            pid = supervisor.pid_of(victim)
            if pid is not None and count >= (target if waited_s < GATHER_S else 1):
                supervisor.kill(victim)
                return Killing(victim, version, pid, time.time(), count)
        if waited_s > GIVE_UP_S:
            raise NothingHeld(f"no request of a sender was held within {GIVE_UP_S:.0f} s")
        time.sleep(POLL_S)  # the open requests show in the answers of the simulator only
