"""Decides what of a status is a problem, and names the next step for it. Pure: the clock is a parameter.

`ok` needs nothing, `look` is a warning that can wait, `wrong` is a problem now: it alone makes the exit code 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Literal

from domain.portfolio import UNLIMITED, PortfolioUse, portfolio_text
from domain.stats import everything_fails
from domain.webhook_age import WEBHOOK_AGE_MAX_S
from operations.campaign_progress import end_text, most_frequent_failure, progress_text
from operations.status import ACTIVE_SHOWN, STAGES, AcceptedSends, DatabaseStatus, KafkaStatus
from schemas.model import CampaignId
from schemas.stats import CampaignProgress
from tables.breakers import shown_key
from tables.campaign_names import short_id
from topics.lag import Lag

State = Literal["ok", "look", "wrong"]

LATE = timedelta(seconds=60)
"""If the oldest waiting event is older, the sender stops claiming, because opt-outs may be among the events."""
PUBLISHED = timedelta(seconds=30)
"""The scheduler's leader publishes every second what a sender left, so an older result shows a fault."""
UNCLAIMED = timedelta(minutes=5)
"""A running sender claims a released attempt within seconds."""
CLOCKS = timedelta(minutes=1)
"""A webhook may come before its answer is stored, and the clocks of Kafka and Postgres may differ by so much."""
WORDS_SHOWN = 5
MINUTE_S = 60.0
PAUSED_SHOWN = 10
BREAKERS_SHOWN = 10
HELD = timedelta(minutes=1)
"""A transaction of a person ends within seconds, unless it was forgotten."""
PARKED = timedelta(hours=1)
"""The sink knows each message id of ours within minutes."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of `campaigns status`."""

    about: str
    state: State
    found: str
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class ReadyAnswer:
    """The HTTP status of the /ready of a process; None if it did not answer."""

    url: str
    status: int | None


PROCESSES = {"subscriptions": "sink", "control": "sink"}
"""The process of a stage, where it has another name."""


def ingress_line(answer: ReadyAnswer) -> Line:
    """The ingress itself is queried: it has no consumer group and no database session."""
    if answer.status == HTTPStatus.OK:
        return Line("ingress", "ok", f"ready, {answer.url}")
    if answer.status is None:
        step = "start `campaigns ingress`; if it runs on another host, query its /ready there"
        return Line("ingress", "look", f"no answer at {answer.url}", step)
    found = f"answers {answer.status} at {answer.url}: it refuses webhooks, and Meta repeats them"
    return Line("ingress", "wrong", found, "read its log; check Kafka and its topics: campaigns check")


def api_line(answer: ReadyAnswer, sessions: int) -> Line:
    """The API itself is queried, too: after a restart of Postgres it has no session until somebody uses it."""
    if answer.status == HTTPStatus.OK:
        return Line("api", "ok", f"ready, {answer.url}")
    if answer.status is not None:
        return Line("api", "wrong", f"answers {answer.status} at {answer.url}", "read its log; campaigns check")
    if sessions:
        return Line("api", "ok", f"{sessions} session(s), on another host or port")
    step = "start `campaigns api`; if it runs on another host, query its /ready there"
    return Line("api", "look", f"no answer at {answer.url}, and no session", step)


def lines(
    database: DatabaseStatus | None, kafka: KafkaStatus | None, now: datetime, away: dict[str, str]
) -> list[Line]:
    """All lines. `away`: server name to the reason why it did not answer."""
    found = [
        Line(name, "wrong", f"no answer: {why.removeprefix(f'{name}: ')}", "campaigns check")
        for name, why in away.items()
    ]
    if database is not None:
        found += _database_processes(database)
    if kafka is not None:
        found += _stages(kafka, now)
        found.append(_last_webhook(kafka, None if database is None else database.sending, now))
        found += _kafka(kafka)
    if database is not None:
        found.append(_applied(database.webhook_age_s))
        found.append(_sending(database.sending, now))
        found += _waiting(database, now)
        found += _breakers(database)
        found += _people(database.people)
        found += _campaigns(database)
    return found


def _database_processes(database: DatabaseStatus) -> Iterator[Line]:
    if not database.is_our_history:
        yield Line("database", "wrong", "restored, or failed over: sending is disabled", "campaigns recover")
    sessions = database.sessions
    for name, is_led, word in (
        ("scheduler", database.has_leader, "leads"),
        ("stats-publisher", database.has_publisher, "publishes"),
    ):
        if is_led:
            yield Line(name, "ok", f"{sessions.get(f'campaigns-{name}', 1)} running, one {word}")
        else:
            yield Line(name, "wrong", f"none {word}", f"start `campaigns {name}`, or read its log")


def _stages(kafka: KafkaStatus, now: datetime) -> Iterator[Line]:
    for stage, topic in STAGES.items():
        members, lag, process = kafka.members[stage], kafka.lags[stage], PROCESSES.get(stage, stage)
        found = f"{members} running, {_lag(lag, now)}"
        is_late = bool(lag.records) and lag.oldest_at is not None and now - lag.oldest_at > LATE
        dead = kafka.dead.get(topic)
        has_dead = is_late and dead is not None and dead.waiting > 0
        too_many = f". Too many dead letters halt it: campaigns dead-letters list --stage {stage}" if has_dead else ""
        if not members:
            yield Line(stage, "wrong", found, f"start `campaigns {process}`, or read its log{too_many}")
        elif is_late:
            step = f"if the backlog does not shrink, start another `campaigns {process}` and read its log{too_many}"
            yield Line(stage, "wrong", found, step)
        else:
            yield Line(stage, "ok", found)


def _kafka(kafka: KafkaStatus) -> Iterator[Line]:
    if kafka.missing_topics:
        yield Line("topics", "wrong", f"missing: {', '.join(kafka.missing_topics)}", "campaigns topics apply")
    yield from _unknown_words(kafka.unknown_words)
    dead = {topic: each for topic, each in kafka.dead.items() if each.waiting}
    for topic, each in dead.items():
        found = f"{each.waiting}" + ("" if each.handled is not None else ", including redriven and dropped ones")
        yield Line(f"dead letters of {topic}", "look", found, f"campaigns dead-letters list --topic {topic}")
    if not dead:
        yield Line("dead letters", "ok", "none")


def _last_webhook(kafka: KafkaStatus, sending: AcceptedSends | None, now: datetime) -> Line:
    """WhatsApp reports each message as `sent` within seconds. Time in which nothing was sent is no reason to worry."""
    last = kafka.last_webhook_at
    found = "no record is kept" if last is None else f"{_age(last, now)} ago, at {last:%Y-%m-%d %H:%M:%S}Z"
    sent = None if sending is None else sending.last_long_ago
    if sent is None or (last is not None and last > sent - CLOCKS):
        return Line("last webhook", "ok", found)
    since = f"; a message was accepted {_age(sent, now)} ago, and no webhook came after it"
    step = "check that Meta reaches the ingress and that the app is subscribed to `messages`"
    return Line("last webhook", "look", found + since, step)


def _unknown_words(words: Mapping[str, int]) -> Iterator[Line]:
    if not words:
        return
    shown = sorted(words.items(), key=lambda each: (-each[1], each[0]))
    listed = ", ".join(f"{word} ({n})" for word, n in shown[:WORDS_SHOWN])
    more = f" and {len(shown) - WORDS_SHOWN} more" if len(shown) > WORDS_SHOWN else ""
    step = "they change no recipient: find their meaning in Meta's changelog; a newer version may know them"
    yield Line("unknown status words", "look", f"in the newest webhooks: {listed}{more}", step)


def _applied(age_s: float | None) -> Line:
    """Senders obey the same figure."""
    about = "webhooks applied"
    if age_s is None:
        return Line(about, "ok", "not watched yet: no scheduler has run since the installation")
    if age_s <= WEBHOOK_AGE_MAX_S:
        return Line(about, "ok", f"all until {age_s:.0f} s ago")
    found = f"all until {age_s:.0f} s ago only: senders claim nothing, because opt-outs may wait"
    return Line(about, "wrong", found, "campaigns lag names the stage that is behind; the scheduler must run, too")


def _sending(sending: AcceptedSends, now: datetime) -> Line:
    if sending.last_at is None:
        return Line("sending", "ok", "nothing was accepted yet")
    if not sending.last_minute:
        return Line("sending", "ok", f"nothing in the last minute; the last message {_age(sending.last_at, now)} ago")
    rate = sending.last_minute / MINUTE_S
    return Line("sending", "ok", f"{rate:.1f} a second now: {sending.last_minute} accepted in the last minute")


def _waiting(database: DatabaseStatus, now: datetime) -> Iterator[Line]:
    n = database.backlog
    is_old = n.parked_since is not None and now - n.parked_since > PARKED
    yield _line("parked statuses", n.parked, is_old, _since(n.parked_since, now), "look", "campaigns parked list")
    yield _line("unknown sends", n.unknown, n.unknown > 0, "", "look", "campaigns unknown list")
    is_old = n.released_since is not None and now - n.released_since > UNCLAIMED
    yield _line("queued for a sender", n.released, is_old, _since(n.released_since, now), "wrong",
                "check that a sender runs and posts; its log shows why not")  # fmt: skip
    yield _line("in flight", n.in_flight, n.past_lease > 0, f"{n.past_lease} past their lease" if n.past_lease else "",
                "look", "the scheduler declares these unknown: check that one runs, then campaigns verify")  # fmt: skip
    is_old = n.unpublished_since is not None and now - n.unpublished_since > PUBLISHED
    yield _line("results not yet published", n.unpublished, is_old, _since(n.unpublished_since, now), "wrong",
                "the scheduler publishes them: check that one runs, and Kafka: campaigns check")  # fmt: skip
    is_old = n.held_since is not None and now - n.held_since > HELD
    yield _line("held by locks", n.held, is_old, _since(n.held_since, now), "look",
                "another session has locked these recipients: end its transaction (see pg_locks)")  # fmt: skip
    yield _line("double sends", n.double_sends, n.double_sends > 0, "", "wrong", "campaigns verify --json")


def _breakers(database: DatabaseStatus) -> Iterator[Line]:
    if not database.breakers:
        yield Line("breakers", "ok", "none is open")
    for each in database.breakers[:BREAKERS_SHOWN]:
        name = f"breaker: {each.scope} {shown_key(each.scope, each.key)}".rstrip()
        code = "" if each.reason or each.code is None else f"code {each.code}, "
        found = f"{each.reason or 'open'}, {code}since {each.opened_at:%Y-%m-%d %H:%M}Z"
        if each.needs_human:
            yield Line(name, "wrong", found, "resolve the reason, then campaigns resume the paused campaigns")
        else:
            yield Line(name, "look", found, "probes are sent by themselves; campaigns breakers list")
    if (more := len(database.breakers) - BREAKERS_SHOWN) > 0:
        yield Line("breaker: others", "look", f"{more} more", "campaigns breakers list")


def _people(use: PortfolioUse) -> Iterator[Line]:
    """The budget of people, and what Meta reported, where either is known."""
    about, shown = "portfolio budget", portfolio_text(use)
    if shown is not None:
        until = "" if use.left or use.free_at is None else f"; more people from {use.free_at:%Y-%m-%d %H:%M}Z on"
        yield Line(about, "ok", f"{shown}, {use.left:,} left{until}")
    if use.reported is None or use.people_max == use.reported:
        return
    reported = "no limit" if use.reported == UNLIMITED else f"{use.reported:,} people in 24 hours"
    found = f"Meta reported {reported} at {use.reported_at:%Y-%m-%d %H:%M}Z"
    if use.people_max is None and use.reported != UNLIMITED:
        step = "set CAMPAIGNS_WHATSAPP_PORTFOLIO_LIMIT, or messages above it fail"
        yield Line("portfolio limit", "look", f"{found}, and there is no budget", step)
    elif use.people_max is not None and use.limit != use.people_max:
        step = "nothing above it is released; correct CAMPAIGNS_WHATSAPP_PORTFOLIO_LIMIT"
        yield Line("portfolio limit", "look", f"{found}, less than the {use.people_max:,} of the settings", step)
    else:
        yield Line("portfolio limit", "ok", found)


def _campaigns(database: DatabaseStatus) -> Iterator[Line]:
    active = [each for each in database.campaigns if each.status == "active"]
    yield Line("active campaigns", "ok", f"{len(active)}")
    for each in active[:ACTIVE_SHOWN]:
        if (progress := database.progress.get(CampaignId(each.id))) is not None:
            yield _progress(progress)
    if (more := len(active) - ACTIVE_SHOWN) > 0:
        yield Line("active: others", "ok", f"{more} more: campaigns list --status active")
    paused = [each for each in database.campaigns if each.status == "paused"]
    for each in paused[:PAUSED_SHOWN]:
        found = f"{(each.pause_reason or '').rstrip('.')}, since {each.updated_at:%Y-%m-%d %H:%M}Z"
        step = f"when the reason is resolved: campaigns resume {short_id(each.id)}"
        yield Line(f"paused: {each.name}", "look", found, step)
    if (more := len(paused) - PAUSED_SHOWN) > 0:
        yield Line("paused: others", "look", f"{more} more", "campaigns list --status paused")


def _progress(progress: CampaignProgress) -> Line:
    """The progress of an active campaign. One in which everything fails is a problem."""
    about, name = f"active: {progress.campaign_name}", short_id(progress.campaign_id)
    if not everything_fails(progress):
        return Line(about, "ok", f"{progress_text(progress)}{end_text(progress)}; id ...{name}")
    code = most_frequent_failure(progress)
    found = f"everything fails: {progress_text(progress)}" + (f", most often with {code}" if code else "")
    return Line(about, "wrong", found, f"campaigns failed list {name}; to stop it: campaigns pause {name}")


def _line(about: str, count: int, is_bad: bool, more: str, state: State, step: str) -> Line:
    found = f"{count}" + (f", {more}" if more and count else "")
    return Line(about, state, found, step) if is_bad else Line(about, "ok", found)


def _lag(lag: Lag, now: datetime) -> str:
    if not lag.records:
        return "no backlog"
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
