"""All processes together: the possible moves, seeded walks, and the fair end, after which no work may be left."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from tests.properties.pipeline.laws import Violation
from tests.properties.pipeline.limits import draw_limits, draw_recipients
from tests.properties.pipeline.persons import PeopleProcesses, Persons
from tests.properties.pipeline.rules import RULES, Rules
from tests.properties.pipeline.scheduler import Leader, Upkeep
from tests.properties.pipeline.sender import Sender
from tests.properties.pipeline.surroundings import Clock, Operator, Sink, Webhooks
from tests.properties.pipeline.world import Move, World

FAIR_STEP_S = 9.0
FAIR_ROUNDS = 60
DAY_S = 90_000.0
DAYS_MAX = 5
"""Days after which each budget has room for the rows of a walk."""
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
LIMITED_PRELUDES: tuple[tuple[str, ...], ...] = (
    (),
    ("a person writes STOP", "50 s pass", "11 s pass", "3 s pass", *_POSTED),
    (*_POSTED, "change the hours", "3 s pass", "renew"),
    (*_POSTED[:2], "a person has a new number", "reconciler reads", "apply the next statement", *_POSTED[2:],
     "post: accepted", "settle", "publish", "mark"),
    (*_POSTED[:2], "names of a person", "reconciler reads", "apply the next statement", *_POSTED[2:],
     *_POSTED[2:], "3 s pass"),
    (*_POSTED, "post: accepted", "settle", "names of a person", "reconciler reads", "apply the next statement"),
)  # fmt: skip
"""The starts of limited walks, in turn."""


class Pipeline:
    """The campaigns with all their processes. `random` makes the choices that no process makes."""

    def __init__(self, random: Random, rules: Rules = RULES, people: int = 1, *, is_limited: bool = False) -> None:
        """A limited pipeline has two campaigns with limits, and people who opt out and change their names."""
        limits = draw_limits(random) if is_limited else None
        self.world = World(rules, people, limits, draw_recipients(random) if is_limited else ())
        self.random = random
        self.senders = (Sender(self.world), Sender(self.world))
        self.schedulers = (Leader(self.world), Leader(self.world), Upkeep(self.world))
        self.event_processes: list[Webhooks | Sink | PeopleProcesses] = [
            Webhooks(self.world), Sink(self.world, random)
        ]  # fmt: skip
        self.persons = [Persons(self.world)] if is_limited else []
        if is_limited:
            self.event_processes.append(PeopleProcesses(self.world, random))
        self.operator = Operator(self.world)
        self.clock = Clock(self.world)
        self.trace: list[str] = []

    def moves(self) -> Iterator[Move]:
        """All moves that are possible now."""
        for actor in (
            *self.schedulers, *self.senders, *self.event_processes, *self.persons, self.operator, self.clock
        ):  # fmt: skip
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
        quiet, known, days = 0, None, DAYS_MAX if self.world.is_limited else 0
        for _ in range(FAIR_ROUNDS * (1 + days)):
            self.world.pass_time(FAIR_STEP_S)
            self.operator.open()
            for actor in (*self.senders, *self.schedulers, *self.senders, *self.event_processes):
                actor.live()
            self.world.require_consistent()
            seen = self._progress()
            quiet, known = (quiet + 1 if seen == known else 0), seen
            if quiet > QUIET_ROUNDS and (not days or not self._is_limited_now()):
                break
            if quiet > QUIET_ROUNDS:
                quiet, days = 0, days - 1
                self.world.pass_time(DAY_S)
        self.world.require_finished(self.random)

    def _is_limited_now(self) -> bool:
        """Whether a row waits, which a budget may hold."""
        return any(row.due_at is not None for row in self.world.tables.rows.values())

    def _progress(self) -> tuple[object, ...]:
        world = self.world
        rows = tuple((row.facts.attempt, row.status) for row in world.tables.rows.values())
        return (*rows, world.tables.campaign, len(world.tables.releases), len(world.events), len(world.jobs))


def walk(seed: int, rules: Rules = RULES, steps: int = 45, *, is_limited: bool = False) -> str | None:
    """One walk. Returns the violation and the moves that led to it, or None."""
    random = Random(seed)
    pipeline = Pipeline(random, rules, people=1 + (seed % 4 == 0), is_limited=is_limited)
    try:
        preludes = LIMITED_PRELUDES if is_limited else PRELUDES
        pipeline.begin(preludes[seed % len(preludes)])
        for _ in range(steps):
            moves = list(pipeline.moves())
            pipeline.do(random.choices(moves, [move.weight for move in moves])[0])
        pipeline.finish()
    except Violation as violation:
        return f"{violation}\n  " + " > ".join(pipeline.trace)
    return None


def first_counterexample(rules: Rules, seeds: range, steps: int = 45, *, is_limited: bool = False) -> str | None:
    """The result of the first walk that finds a violation."""
    walks = (walk(seed, rules, steps, is_limited=is_limited) for seed in seeds)
    return next((found for found in walks if found is not None), None)
