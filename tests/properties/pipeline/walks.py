"""All processes together: the possible moves, seeded walks, and the fair end, after which no work may be left."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from tests.properties.pipeline.rules import RULES, Rules
from tests.properties.pipeline.scheduler import Leader, Upkeep
from tests.properties.pipeline.sender import Sender
from tests.properties.pipeline.surroundings import Clock, Operator, Sink, Webhooks
from tests.properties.pipeline.world import Move, Violation, World

FAIR_STEP_S = 9.0
FAIR_ROUNDS = 60
QUIET_ROUNDS = 8
"""Rounds without progress that end a walk. They last longer than a lease, so no process has work left then."""

_POSTED = ("leader releases", "leader publishes", "take", "claim", "receive claim", "permit")
_REPEATED = (*_POSTED, "post: accepted, answer lost", "settle", "publish", "apply the next", "mark", "request a retry",
             "apply the next", "leader releases", "leader publishes")  # fmt: skip
PRELUDES: tuple[tuple[str, ...], ...] = (
    (),
    _REPEATED,
    (*_REPEATED, "webhook sent", "apply the next"),
    (*_POSTED, "post: accepted", "settle", "publish", "mark"),
    (*_POSTED, "3 s pass", "renew"),
    (*_POSTED[:4], "lose the answer to the claim", "50 s pass", "sweep declares unknown"),
    (*_POSTED, "post: token refused", "settle", "publish", "mark", "pause by the breaker", "resume"),
)  # fmt: skip
"""The starts of walks, in turn. They lead to situations that a random walk reaches only after many steps."""


class Pipeline:
    """One campaign with all its processes. `random` makes the choices that no process makes."""

    def __init__(self, random: Random, rules: Rules = RULES, people: int = 1) -> None:
        self.world = World(rules, people)
        self.random = random
        self.senders = (Sender(self.world), Sender(self.world))
        self.schedulers = (Leader(self.world), Leader(self.world), Upkeep(self.world))
        self.event_processes = (Webhooks(self.world), Sink(self.world, random))
        self.operator = Operator(self.world)
        self.clock = Clock(self.world)
        self.trace: list[str] = []

    def moves(self) -> Iterator[Move]:
        """All moves that are possible now."""
        for actor in (*self.schedulers, *self.senders, *self.event_processes, self.operator, self.clock):
            yield from actor.moves()

    def do(self, move: Move) -> None:
        """Make a move. Raises Violation."""
        self.trace.append(move.name)
        move.act()
        self.world.require_consistent()

    def begin(self, prelude: tuple[str, ...]) -> None:
        """Make these moves in this order. Without a rule, a move may be impossible. Then the prelude ends there."""
        for name in prelude:
            move = next((move for move in self.moves() if move.name == name), None)
            if move is None:
                return
            self.do(move)

    def finish(self) -> None:
        """The fair end: no process dies, no answer is lost, and time passes. Raises Violation."""
        self.trace.append("|")
        quiet, known = 0, None
        for _ in range(FAIR_ROUNDS):
            self.world.pass_time(FAIR_STEP_S)
            self.operator.resume()
            for actor in (*self.senders, *self.schedulers, *self.senders, *self.event_processes):
                actor.live()
            self.world.require_consistent()
            seen = self._progress()
            quiet, known = (quiet + 1 if seen == known else 0), seen
            if quiet > QUIET_ROUNDS:
                break
        self.world.require_finished(self.random)

    def _progress(self) -> tuple[object, ...]:
        world = self.world
        rows = tuple((row.facts.attempt, row.status) for row in world.tables.rows.values())
        return (*rows, world.tables.campaign, len(world.tables.releases), len(world.events), len(world.jobs))


def walk(seed: int, rules: Rules = RULES, steps: int = 45) -> str | None:
    """One walk. Returns the violation and the moves that led to it, or None."""
    random = Random(seed)
    pipeline = Pipeline(random, rules, people=1 + (seed % 4 == 0))
    try:
        pipeline.begin(PRELUDES[seed % len(PRELUDES)])
        for _ in range(steps):
            moves = list(pipeline.moves())
            pipeline.do(random.choices(moves, [move.weight for move in moves])[0])
        pipeline.finish()
    except Violation as violation:
        return f"{violation}\n  " + " > ".join(pipeline.trace)
    return None


def first_counterexample(rules: Rules, seeds: range, steps: int = 45) -> str | None:
    """The result of the first walk that finds a violation."""
    return next((found for seed in seeds if (found := walk(seed, rules, steps)) is not None), None)
