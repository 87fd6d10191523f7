"""What of a standing is well, and the next step for what is not. Pure: the clock is a parameter.

`ok` is well; `look` wants an operator's eyes, some time; `wrong` wants them now, and alone makes the exit code 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Literal

from operations.status import STAGES, DatabaseStatus, KafkaStatus
from topics.lag import Lag

State = Literal["ok", "look", "wrong"]

LATE = timedelta(seconds=60)
"""Older than this, and the sender stops claiming: opt-outs may wait behind it."""
SWEPT = timedelta(seconds=30)
"""The leader looks every second for what nobody ended or told."""
UNCLAIMED = timedelta(minutes=5)
SILENT = timedelta(minutes=10)
"""Meta says `sent` within seconds of an answer."""
PAUSED_SHOWN = 10
PARKED = timedelta(hours=1)
"""A message id of ours is learned within minutes."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the screen."""

    about: str
    state: State
    found: str
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class StatusReport:
    """What the ingress answered to whether it is ready; None: nothing."""

    url: str
    status: int | None


def ingress_line(answer: StatusReport) -> Line:
    """Only it can say: it is no member of a group, and no session of the database."""
    if answer.status == HTTPStatus.OK:
        return Line("ingress", "ok", f"ready, {answer.url}")
    if answer.status is None:
        step = "start `campaigns ingress`; where it runs elsewhere, ask its /ready there"
        return Line("ingress", "look", f"no answer at {answer.url}", step)
    said = f"answers {answer.status} at {answer.url}: webhooks are refused, Meta repeats them"
    return Line("ingress", "wrong", said, "is Kafka there, and `webhooks.raw`? Its log says more")


def lines(
    database: DatabaseStatus | None, kafka: KafkaStatus | None, now: datetime, away: dict[str, str]
) -> list[Line]:
    """The whole screen. `away`: why a server did not answer, by its name."""
    found = [
        Line(name, "wrong", f"away: {why.removeprefix(f'{name}: ')}", "campaigns check") for name, why in away.items()
    ]
    if database is not None:
        found += _database_processes(database)
    if kafka is not None:
        found += _stages(kafka, now)
        found += _kafka(kafka, now)
    if database is not None:
        found += _waiting(database, now)
        found += _campaigns(database)
    return found


def _database_processes(database: DatabaseStatus) -> Iterator[Line]:
    if not database.is_our_history:
        yield Line("database", "wrong", "another history than the data's: nothing is sent", "campaigns recover")
    sessions = database.sessions
    for name, is_led, word in (
        ("scheduler", database.has_leader, "leads"),
        ("stats", database.has_publisher, "publishes"),
    ):
        if is_led:
            yield Line(name, "ok", f"{sessions.get(f'campaigns-{name}', 1)} running, one {word}")
        else:
            yield Line(name, "wrong", f"none {word}", f"start `campaigns {name}`, or look at its log")
    api = sessions.get("campaigns-api", 0)
    yield Line("api", "ok" if api else "look", f"{api} session(s)", "" if api else "start `campaigns api`")


def _stages(kafka: KafkaStatus, now: datetime) -> Iterator[Line]:
    for stage, topic in STAGES.items():
        members, lag = kafka.members[stage], kafka.lags[stage]
        said = f"{members} running, {_lag(lag, now)}"
        is_late = bool(lag.records) and lag.oldest_at is not None and now - lag.oldest_at > LATE
        dead = kafka.dead.get(topic)
        has_dead = is_late and dead is not None and dead.waiting > 0
        too_many = f". Too many dead letters stop it: campaigns dead-letters list --stage {stage}" if has_dead else ""
        if not members:
            yield Line(stage, "wrong", said, f"start `campaigns {stage}`, or look at its log{too_many}")
        elif is_late:
            step = f"if it does not fall, start another `campaigns {stage}`; its log says more{too_many}"
            yield Line(stage, "wrong", said, step)
        else:
            yield Line(stage, "ok", said)


def _kafka(kafka: KafkaStatus, now: datetime) -> Iterator[Line]:
    if kafka.missing_topics:
        yield Line("topics", "wrong", f"missing: {', '.join(kafka.missing_topics)}", "campaigns topics apply")
    yield _last_webhook(kafka, now)
    dead = {topic: each for topic, each in kafka.dead.items() if each.waiting}
    for topic, each in dead.items():
        said = f"{each.waiting}" + ("" if each.dealt_with is not None else ", those dealt with among them")
        yield Line(f"dead letters of {topic}", "look", said, f"campaigns dead-letters list --topic {topic}")
    if not dead:
        yield Line("dead letters", "ok", "none")


def _last_webhook(kafka: KafkaStatus, now: datetime) -> Line:
    last, event = kafka.last_webhook_at, kafka.last_event_at
    said = "none is kept" if last is None else f"{_age(last, now)} ago, at {last:%Y-%m-%d %H:%M:%S}Z"
    if event is None or now - event > SILENT or (last is not None and now - last <= SILENT):
        return Line("last webhook", "ok", said)
    step = "events are written meanwhile: is the ingress reachable from outside, and Meta's webhook subscribed?"
    return Line("last webhook", "look", said, step)


def _waiting(database: DatabaseStatus, now: datetime) -> Iterator[Line]:
    n = database.numbers
    is_old = n.parked_since is not None and now - n.parked_since > PARKED
    yield _line("parked statuses", n.parked, is_old, _since(n.parked_since, now), "look", "campaigns parked list")
    yield _line("unknown sends", n.unknown, n.unknown > 0, "", "look", "campaigns unknown list")
    is_old = n.released_since is not None and now - n.released_since > UNCLAIMED
    yield _line("released, not claimed", n.released, is_old, _since(n.released_since, now), "wrong",
                "is a sender running and posting? Its log says more")  # fmt: skip
    yield _line("in flight", n.in_flight, n.past_lease > 0, f"{n.past_lease} past their lease" if n.past_lease else "",
                "look", "the scheduler's leader declares them unknown; campaigns verify")  # fmt: skip
    is_old = n.untold_since is not None and now - n.untold_since > SWEPT
    yield _line("answers not told", n.untold, is_old, _since(n.untold_since, now), "wrong",
                "the scheduler's leader publishes them: is it there, and Kafka?")  # fmt: skip
    yield _line("double sends", n.double_sends, n.double_sends > 0, "", "wrong", "campaigns verify --json")


def _campaigns(database: DatabaseStatus) -> Iterator[Line]:
    active = [each for each in database.campaigns if each.status == "active"]
    yield Line("active campaigns", "ok", f"{len(active)}")
    paused = [each for each in database.campaigns if each.status == "paused"]
    for each in paused[:PAUSED_SHOWN]:
        said = f"{each.pause_reason}, since {each.updated_at:%Y-%m-%d %H:%M}Z"
        yield Line(f"paused: {each.name}", "look", said, f"once that is settled: campaigns resume {each.id}")
    if (more := len(paused) - PAUSED_SHOWN) > 0:
        ask = "SELECT id, name, pause_reason FROM marketing_campaigns WHERE status = 'paused'"
        yield Line("paused: others", "look", f"{more} more", f'campaigns psql -c "{ask}"')


def _line(about: str, count: int, is_bad: bool, more: str, state: State, step: str) -> Line:
    said = f"{count}" + (f", {more}" if more and count else "")
    return Line(about, state, said, step) if is_bad else Line(about, "ok", said)


def _lag(lag: Lag, now: datetime) -> str:
    if not lag.records:
        return "nothing waits"
    statuses = "" if lag.statuses is None else f" with {lag.statuses} status(es)"
    since = "" if lag.oldest_at is None else f", for {_age(lag.oldest_at, now)}"
    return f"{lag.records} record(s){statuses} wait{since}"


def _since(moment: datetime | None, now: datetime) -> str:
    return "" if moment is None else f"the oldest for {_age(moment, now)}"


def _age(moment: datetime, now: datetime) -> str:
    seconds = max(0, int((now - moment).total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
