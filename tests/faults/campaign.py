"""One campaign under steady load while a fault happens: start, recovery, rest, verdict. The story of each test."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from cli.demo.completion import CompletionWatcher
from cli.demo.people import Person
from tests.faults.judging import Judged, judge_campaign, posts_of
from tests.faults.steady import Crowd, Steady
from tests.faults.world import World
from tests.support.waiting import eventually
from verdict.judge import Held
from verdict.truth import TimeSpan

WARM_S = 30.0
RECOVERY_DEADLINE_S = 180.0
"""Tells what is stuck from what is slow: on two cores that others use too, a broker alone may take half a minute."""
REST_DEADLINE_S = 120.0
PROOF_DEADLINE_S = 300.0
CAMPAIGNS = Path(sys.executable).with_name("campaigns")
COHORT = 20
"""Recovery is shown by so many messages claimed after the end of the fault whose delivery is in their rows."""

EXPLAINED = (0, 75, -9, -15)
"""How a process may end here: told to (-15: before it had begun), by its own word that something outside is missing,
or by our SIGKILL."""

RECOVERED = """
    SELECT count(*) FILTER (WHERE r.status NOT IN ('queued', 'sent', 'unknown')) >= %s
           AND count(*) FILTER (WHERE r.status IN ('queued', 'sent')
                                AND l.claimed_at < clock_timestamp() - interval '3 s') = 0
    FROM send_ledger AS l JOIN campaign_recipients AS r ON r.id = l.recipient_id
    WHERE l.campaign_id = %s AND l.claimed_at > to_timestamp(%s)
"""
"""The first condition alone would hold with half of the partitions standing still."""
UNDERWAY = "SELECT count(*) FROM campaign_recipients WHERE campaign_id = %s AND status IN ('queued', 'sent')"
IN_ROWS = (
    "SELECT count(*) FROM campaign_recipients WHERE campaign_id = %s AND status IN ('delivered', 'read', 'failed')"
)

OPEN_CLAIMS = "SELECT recipient_id::text, attempt FROM send_ledger WHERE campaign_id = %s AND outcome IS NULL"


@dataclass(frozen=True)
class Result:
    """What a fault did, in figures."""

    recovery_s: float
    rest_s: float
    messages: int
    webhooks: int
    unknown_ever: int
    unknown_left: int
    judged: Judged

    def figures(self) -> dict[str, object]:
        """For the log."""
        found = asdict(self)
        del found["judged"]
        return {name: round(value, 1) if isinstance(value, float) else value for name, value in found.items()}


class Underway:
    """A campaign that is being sent while people are added to it."""

    def __init__(self, world: World, crowd: Crowd, per_s: float, name: str) -> None:
        self.world = world
        world.wait_until_ready()
        self._ledger_from = int(world.simulator.state()["received"])
        self._webhooks_from = int(world.simulator.state()["webhooks_posted"])
        self._events_from = len(world.events)
        self.frozen: list[TimeSpan] = []
        """When a sender stood still."""
        first = crowd.take(int(per_s))
        self.id = world.api.create(name)
        world.api.add(self.id, first)
        world.api.activate(self.id)
        self._first: list[Person] = first
        self.load = Steady(str(world.api.client.base_url).rstrip("/"), self.id, crowd, per_s)
        world.loads.append(self.load)

    def wait_until_flowing(self, messages: int) -> None:
        """Return when so many deliveries are in their rows: every process has work."""
        eventually(lambda: self.world.count(IN_ROWS, self.id) >= messages, "the pipeline flows", WARM_S)

    @property
    def everybody(self) -> Sequence[Person]:
        """Whom we asked to write to."""
        return [*self._first, *self.load.added]

    def on_the_way(self) -> int:
        """Messages that the simulator has accepted and whose end is not in the rows."""
        accepted = int(self.world.simulator.state()["accepted"]) - self._ledger_from
        # A retried message is accepted more than once, which over a long campaign adds up.
        return min(accepted - self.world.count(IN_ROWS, self.id), self.world.count(UNDERWAY, self.id))

    def open_claims(self) -> set[Held]:
        """Attempts that a sender has claimed and noted no outcome of."""
        with self.world.connect() as connection:
            return {(found[0], found[1]) for found in connection.execute(OPEN_CLAIMS, [self.id]).fetchall()}

    def posted(self) -> set[Held]:
        """Attempts that the simulator has received."""
        posts, _ = posts_of(self.world.settings, self.id, _entries(self.world, self._ledger_from))
        return {(post.recipient_id, post.attempt) for post in posts}

    def recovery_s(self, since: float) -> float:
        """Seconds from `since` until what was claimed after it is delivered, and nothing claimed after it is stuck."""

        def recovered() -> bool:
            with self.world.connect() as connection:
                found = connection.execute(RECOVERED, [COHORT, self.id, since]).fetchone()
            return bool(found and found[0])

        eventually(recovered, "messages claimed after the fault are delivered", RECOVERY_DEADLINE_S)
        return time.time() - since

    def finish(self, since: float, recovery_s: float | None = None, *, from_topic: bool = False) -> Result:
        """Recover, add no more people, come to rest, and judge. The product's own proof must come to the same."""
        recovery = self.recovery_s(since) if recovery_s is None else recovery_s
        self.load.stop()
        stopped = time.monotonic()
        trouble = (*self._rest(), *self._bugs())
        rest_s = time.monotonic() - stopped
        trouble += self._unproven(*(["--from-topic"] if from_topic else []))
        with self.world.connect() as connection:
            entries = _entries(self.world, self._ledger_from)
            judged = judge_campaign(
                self.world.settings,
                connection,
                self.id,
                self.everybody,
                entries,
                self._stats(),
                trouble,
                tuple(self.frozen),
            )
        self.world.require_alive()
        webhooks = int(self.world.simulator.state()["webhooks_posted"]) - self._webhooks_from
        messages = judged.verdict.messages_accepted
        return Result(recovery, rest_s, messages, webhooks, judged.unknown_ever, judged.unknown_left, judged)

    def _bugs(self) -> list[str]:
        """Processes that ended in a way that no fault explains: a bug of ours (70), or a crash of a library."""
        ended = [event for event in self.world.events[self._events_from :] if event.what == "ended"]
        return [f"{event.name} ended with {event.code}" for event in ended if event.code not in EXPLAINED]

    def _unproven(self, *more: str) -> tuple[str, ...]:
        """What `campaigns verify` finds wrong, in its own words."""
        done = subprocess.run(
            [CAMPAIGNS, "verify", "--campaign", self.id, "--json", *more],
            env=self.world.environment,
            cwd=self.world.folder,
            capture_output=True,
            text=True,
            timeout=PROOF_DEADLINE_S,
            check=False,
        )
        if done.returncode == 0:
            return ()
        return (f"campaigns verify ended with {done.returncode}: {done.stdout[:2000]} {done.stderr[-1000:]}",)

    def _stats(self) -> dict[str, object]:
        def asked() -> dict[str, object] | None:
            try:
                return self.world.api.stats(self.id)
            except httpx.HTTPError:
                return None

        return eventually(asked, "the API answers", WARM_S)

    def _rest(self) -> tuple[str, ...]:
        with self.world.connect() as connection:
            watch = CompletionWatcher(self.world.settings, self.world.simulator, connection, self.id)
            said = ""

            def is_over() -> bool:
                nonlocal said
                snapshot, over = watch.read()
                said = snapshot.describe()
                return over

            try:
                eventually(is_over, "everything is at rest", REST_DEADLINE_S, every_s=0.2)
            except AssertionError:
                return (f"not at rest in time: {said}",)
        told = "SELECT count(*) FROM campaign_stats WHERE campaign_id = %s AND published_version = version"
        try:
            eventually(lambda: self.world.count(told, self.id), "the last stats are published", WARM_S)
        except AssertionError as late:
            return (str(late),)
        return ()


def _entries(world: World, after: int) -> list[dict[str, object]]:
    return [entry for entry in world.simulator.ledger() if int(entry["id"]) > after]


def require_exact(result: Result, unknown_max: int, *, clocks_stepped: bool = False) -> None:
    """Fail for any difference, and for more unknown sends than the fault explains.

    `clocks_stepped`: a `sent_at` that only our own clock has said is as wrong as that clock was.
    """
    verdict = result.judged.verdict
    wrong = [row for row in verdict.wrong_rows if not (clocks_stepped and row.fields == ("sent_at",))]
    assert not verdict.trouble, verdict.trouble
    assert verdict.double_sends == 0
    assert not wrong, f"{len(wrong)} rows: {wrong[:5]}"
    assert not verdict.wrong_counters, verdict.wrong_counters
    assert result.unknown_ever <= unknown_max, f"{result.unknown_ever} were unknown, {unknown_max} explained"


Strike = Callable[[World, Underway], "Struck"]


@dataclass(frozen=True)
class Struck:
    """What a fault says of itself."""

    ended_at: float
    """When the cause was gone (a kill: when it fell): the recovery counts from here."""
    in_flight: int
    """What was in the middle when it fell."""
    unknown_max: int = 0
    """How many sends it may make unknown."""
    recovery_s: float | None = None
