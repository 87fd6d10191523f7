"""One campaign under steady load while faults happen: its start, its recovery, its end, and the verdict."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from cli.demo.completion import CompletionWatcher
from cli.demo.people import Person
from tests.faults.judging import Judged, judge_campaign, posts_of
from tests.faults.steady_load import Crowd, SteadyLoad
from tests.faults.world import ProcessWorld
from tests.support.waiting import eventually
from verdict.judge import Held
from verdict.truth import Post, TimeSpan

WARM_S = 30.0
RECOVERY_DEADLINE_S = 180.0
"""A recovery that takes longer has failed. On two shared cores the start of a broker alone may take half a minute."""
REST_DEADLINE_S = 120.0
PROOF_DEADLINE_S = 300.0
CAMPAIGNS = Path(sys.executable).with_name("campaigns")
COHORT = 20
"""The pipeline has recovered when the rows of this number of messages, claimed after the fault, show the delivery."""

EXPLAINED = (0, 75, -9, -15)
"""The exit codes that faults explain: a requested stop (0, or -15 before the process handled signals), an unavailable
server (75), and the SIGKILL of a test (-9)."""

RECOVERED = """
    SELECT count(*) FILTER (WHERE r.status NOT IN ('queued', 'sent', 'unknown')) >= %s
           AND count(*) FILTER (WHERE r.status IN ('queued', 'sent')
                                AND l.claimed_at < clock_timestamp() - interval '3 s') = 0
    FROM send_ledger AS l JOIN campaign_recipients AS r ON r.id = l.recipient_id
    WHERE l.campaign_id = %s AND l.claimed_at > to_timestamp(%s)
"""
"""The second condition is necessary: the first one also holds if half of the partitions make no progress."""
UNFINISHED = "SELECT count(*) FROM campaign_recipients WHERE campaign_id = %s AND status IN ('queued', 'sent')"
IN_ROWS = (
    "SELECT count(*) FROM campaign_recipients WHERE campaign_id = %s AND status IN ('delivered', 'read', 'failed')"
)

OPEN_CLAIMS = "SELECT recipient_id::text, attempt FROM send_ledger WHERE campaign_id = %s AND outcome IS NULL"


@dataclass(frozen=True)
class Result:
    """The measurements of one campaign, and its verdict."""

    recovery_s: float
    rest_s: float
    messages: int
    webhooks: int
    unknown_ever: int
    unknown_left: int
    judged: Judged

    def figures(self) -> dict[str, object]:
        """The measurements without the verdict, for the log."""
        found = asdict(self)
        del found["judged"]
        return {name: round(value, 1) if isinstance(value, float) else value for name, value in found.items()}


class RunningCampaign:
    """A campaign that sends while people are added to it."""

    def __init__(self, world: ProcessWorld, crowd: Crowd, per_s: float, name: str) -> None:
        self.world = world
        world.wait_until_ready()
        self._ledger_from = int(world.simulator.state()["received"])
        self._accepted_from = int(world.simulator.state()["accepted"])
        self._webhooks_from = int(world.simulator.state()["webhooks_posted"])
        self._events_from = len(world.events)
        self.frozen: list[TimeSpan] = []
        """The times in which a sender was frozen."""
        self.opted_out: set[str] = set()
        """The numbers of people who opted out while it was sent."""
        first = crowd.take(int(per_s))
        self.id = world.api.create(name)
        world.api.add(self.id, first)
        world.api.activate(self.id)
        self._first: list[Person] = first
        self.load = SteadyLoad(str(world.api.client.base_url).rstrip("/"), self.id, crowd, per_s)
        world.loads.append(self.load)

    def wait_until_flowing(self, messages: int) -> None:
        """Wait until the rows show this number of final statuses. Then every process has work."""
        eventually(lambda: self.world.count(IN_ROWS, self.id) >= messages, "the first messages are delivered", WARM_S)

    @property
    def people(self) -> Sequence[Person]:
        """The people that the test has added."""
        return [*self._first, *self.load.added]

    def accepted_unfinished(self) -> int:
        """The number of messages that the simulator has accepted, and whose rows have no final status yet."""
        accepted = int(self.world.simulator.state()["accepted"]) - self._accepted_from
        # The difference counts a retried message once per acceptance, so the open rows limit it.
        return min(accepted - self.world.count(IN_ROWS, self.id), self.world.count(UNFINISHED, self.id))

    def open_claims(self) -> set[Held]:
        """The claimed attempts without a recorded outcome."""
        with self.world.connect() as connection:
            return {(found[0], found[1]) for found in connection.execute(OPEN_CLAIMS, [self.id]).fetchall()}

    def posts(self) -> list[Post]:
        """The posts of this campaign that the simulator has received."""
        return posts_of(self.world.settings, self.id, _entries(self.world, self._ledger_from))[0]

    def posted(self) -> set[Held]:
        """The attempts that the simulator has received."""
        return {(post.recipient_id, post.attempt) for post in self.posts()}

    def recovery_s(self, since: float) -> float:
        """The seconds from `since` until messages that were claimed later are delivered and none of them is stuck."""

        def recovered() -> bool:
            with self.world.connect() as connection:
                found = connection.execute(RECOVERED, [COHORT, self.id, since]).fetchone()
            return bool(found and found[0])

        eventually(recovered, "messages claimed after the fault are delivered", RECOVERY_DEADLINE_S)
        return time.time() - since

    def finish(self, since: float, recovery_s: float | None = None, *, from_topic: bool = False) -> Result:
        """Wait for the recovery, stop the load, wait until all work is done, and judge with `campaigns verify`."""
        recovery = self.recovery_s(since) if recovery_s is None else recovery_s
        self.load.stop()
        stopped = time.monotonic()
        trouble = (*self._wait_for_the_end(), *self._unexplained_ends())
        rest_s = time.monotonic() - stopped
        trouble += self._verify(*(["--from-topic"] if from_topic else []))
        with self.world.connect() as connection:
            entries = _entries(self.world, self._ledger_from)
            judged = judge_campaign(
                self.world.settings,
                connection,
                self.id,
                self.people,
                entries,
                self._stats(),
                trouble,
                tuple(self.frozen),
                frozenset(self.opted_out),
            )
        self.world.require_alive()
        webhooks = int(self.world.simulator.state()["webhooks_posted"]) - self._webhooks_from
        messages = judged.verdict.messages_accepted
        return Result(recovery, rest_s, messages, webhooks, judged.unknown_ever, judged.unknown_left, judged)

    def _unexplained_ends(self) -> list[str]:
        """Processes with an exit code that no fault explains: a bug (70), or a crash of a library."""
        ended = [event for event in self.world.events[self._events_from :] if event.what == "ended"]
        return [f"{event.name} ended with {event.code}" for event in ended if event.code not in EXPLAINED]

    def _verify(self, *more: str) -> tuple[str, ...]:
        """The failure of `campaigns verify`, if there is one."""
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
        def answer() -> dict[str, object] | None:
            try:
                return self.world.api.stats(self.id)
            except httpx.HTTPError:
                return None

        return eventually(answer, "the API answers", WARM_S)

    def _wait_for_the_end(self) -> tuple[str, ...]:
        with self.world.connect() as connection:
            watch = CompletionWatcher(self.world.settings, self.world.simulator, connection, self.id)
            progress = ""

            def is_over() -> bool:
                nonlocal progress
                snapshot, over = watch.read()
                progress = snapshot.describe()
                return over

            try:
                eventually(is_over, "all work is done", REST_DEADLINE_S, every_s=0.2)
            except AssertionError:
                return (f"work was left at the deadline: {progress}",)
        published = "SELECT count(*) FROM campaign_stats WHERE campaign_id = %s AND published_version = version"
        try:
            eventually(lambda: self.world.count(published, self.id), "the last stats are published", WARM_S)
        except AssertionError as late:
            return (str(late),)
        return ()


def _entries(world: ProcessWorld, after: int) -> list[dict[str, object]]:
    return [entry for entry in world.simulator.ledger() if int(entry["id"]) > after]


def require_exact(result: Result, unknown_max: int, *, clocks_stepped: bool = False) -> None:
    """Fail for any difference, and for more unknown sends than the faults explain.

    With `clocks_stepped`, a different `sent_at` is accepted: it may come from the stepped clock of a process.
    """
    verdict = result.judged.verdict
    mismatches = [row for row in verdict.wrong_rows if not (clocks_stepped and row.fields == ("sent_at",))]
    assert not verdict.trouble, verdict.trouble
    assert verdict.double_sends == 0
    assert not mismatches, f"{len(mismatches)} rows: {mismatches[:5]}"
    assert not verdict.wrong_counters, verdict.wrong_counters
    assert result.unknown_ever <= unknown_max, f"{result.unknown_ever} were unknown, the faults explain {unknown_max}"


@dataclass(frozen=True)
class InjectedFault:
    """The report about one fault."""

    ended_at: float
    """The end of the fault (for a kill, the time of the kill). The recovery time counts from here."""
    in_flight: int
    """How much work was unfinished when the fault began."""
    unknown_max: int = 0
    """How many sends the fault may make unknown."""
    recovery_s: float | None = None
