"""The kill: a sender dies by SIGKILL while WhatsApp holds requests of its own unanswered, and what it held is noted.

Which process posted a request is said by the simulator: each sender speaks another version of the API. What the dead
one had claimed is read from the ledger, and confirmed in the end by the simulator's posts (`held_by`).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from cli.demo.clients import SimulatorClient
from stack.supervisor import Supervisor
from verdict.judge import Held
from verdict.rows import JudgeConnection, read_open_claims

VERSIONS = {"v25.0": "sender-1", "v24.0": "sender-2"}
"""API version to the process that speaks it."""
HOLD_S = 6.0
"""Shorter than the sender's HTTP timeout: nothing but the kill makes an outcome unknown."""
GATHER_S = 2.5
"""With fewer requests on the way than wanted, one is enough after this."""
GIVE_UP_S = 45.0
LAST_STATEMENT_S = 1.3
"""The sender's statements end within 1 s: after this none of a dead one can still change the ledger. Until then one
may: a claim that it had sent to a busy server comes to be after its death. Its successor needs longer to claim."""
POLL_S = 0.02


class NothingHeld(Exception):
    """The simulator never held a request of any sender: the run is too small or too slow to be worth a verdict."""


@dataclass(frozen=True, slots=True)
class Killing:
    """Who was killed, and what was open then."""

    victim: str
    version: str
    pid: int
    at: float
    in_flight: int
    """Its requests that the simulator had received and not answered."""
    open_claims: frozenset[Held] = frozenset()
    """Attempts unanswered once every statement issued before the kill had ended, whoever held them."""


def kill_while_held(
    simulator: SimulatorClient, supervisor: Supervisor, wanted: int, say: Callable[[str], None]
) -> Killing:
    """Hold all answers until a sender has so many requests there, kill it, and let the others go on."""
    simulator.hold(HOLD_S)
    try:
        killing = _kill(simulator, supervisor, wanted)
    finally:
        simulator.release()
    say(
        f"killed {killing.victim} (pid {killing.pid}) with SIGKILL while WhatsApp held "
        f"{killing.in_flight} of its requests unanswered"
    )
    return killing


def note_claims(killing: Killing, connection: JudgeConnection) -> Killing:
    """Note what was left open, once no statement of the dead process can still be running."""
    over_at = killing.at + LAST_STATEMENT_S
    time.sleep(max(0.0, over_at - time.time()))
    return replace(killing, open_claims=frozenset(read_open_claims(connection, over_at)))


def held_by(
    killing: Killing, tokens: Mapping[Held, str], versions_of_posts: Mapping[Held, Collection[str]]
) -> frozenset[Held]:
    """Of the open claims, those of the killed process: none of a claim's attempts was posted by another one.

    A claim covers several attempts under one token. Whoever posted one of them is its owner.
    """
    posted_by: dict[str, set[str]] = {}
    for attempt, versions in versions_of_posts.items():
        if attempt in tokens:
            posted_by.setdefault(tokens[attempt], set()).update(versions)
    return frozenset(
        attempt for attempt in killing.open_claims if posted_by.get(tokens[attempt], set()) <= {killing.version}
    )


def _kill(simulator: SimulatorClient, supervisor: Supervisor, wanted: int) -> Killing:
    started = time.monotonic()
    while True:
        held = Counter(entry["version"] for entry in simulator.unanswered())
        waited_s = time.monotonic() - started
        for version, count in held.most_common(1):
            victim = VERSIONS[version]
            pid = supervisor.pid_of(victim)
            if pid is not None and count >= (wanted if waited_s < GATHER_S else 1):
                supervisor.kill(victim)
                return Killing(victim, version, pid, time.time(), count)
        if waited_s > GIVE_UP_S:
            raise NothingHeld(f"no request of a sender was held within {GIVE_UP_S:.0f} s")
        time.sleep(POLL_S)
