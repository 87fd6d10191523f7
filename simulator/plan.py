"""Plans one message: its answer and its statuses, decided at once from configuration, rule and dice. No clock, no I/O.

All times are unscaled seconds after the request was received (`latency_s`) or after the message was accepted
(statuses).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from simulator.config import PlannedOutcome, Rule, SimulatorConfig, Spread, StatusWord
from simulator.dice import Dice

THROUGHPUT_CODE = 130429
PACING_CODE = 132015
ACCEPTED_UNLESS_LOST: frozenset[PlannedOutcome] = frozenset({"hang", "bad_gateway"})
NEVER_ACCEPTED: frozenset[PlannedOutcome] = frozenset({"reject", "cut_before"})


@dataclass(frozen=True, slots=True)
class PlannedStatus:
    """One status of a message: the time it happens, the times it is sent, and its form."""

    status: StatusWord
    happens_s: float
    sent_s: tuple[float, ...]
    with_callback: bool = True
    code: int | None = None


@dataclass(frozen=True, slots=True)
class MessagePlan:
    """The plan of one message."""

    outcome: PlannedOutcome
    latency_s: float
    code: int | None = None
    lost_if_unanswered: bool = False
    overtaken_s: float | None = None
    """If set, statuses start when the request is received, and the answer is this much later."""
    statuses: tuple[PlannedStatus, ...] = ()


def plan_message(config: SimulatorConfig, rule: Rule | None, dice: Dice) -> MessagePlan:
    """Plan a message. A rule forces its outcome and disables the configured disorder."""
    outcome, code = (rule.outcome, rule.code) if rule else draw_outcome(config, dice)
    latency = config.answers.latency
    latency_s = dice.seconds("latency", latency.median_s, latency.p99_s)
    if rule and rule.latency_s is not None:
        latency_s = rule.latency_s
    lost = outcome in NEVER_ACCEPTED or dice.happens("lost", config.answers.lost_share)
    if outcome in NEVER_ACCEPTED:
        return MessagePlan(outcome, latency_s, code, lost_if_unanswered=True)
    if rule and rule.statuses is not None:
        statuses = tuple(sent_in_order(rule.statuses, config, dice, code))
    else:
        statuses = tuple(draw_statuses(config, dice, outcome, code, disorderly=rule is None))
    if rule:
        statuses = tuple(as_ruled(rule, statuses))
    overtaken_s = None
    if rule is None and not lost and dice.happens("overtaking", config.statuses.overtaking_share):
        overtaken_s = drawn(dice, "overtaken", config.statuses.overtaken)
    return MessagePlan(outcome, latency_s, code, lost, overtaken_s, statuses)


def draw_outcome(config: SimulatorConfig, dice: Dice) -> tuple[PlannedOutcome, int | None]:
    """The end of the request, without a rule."""
    answers = config.answers
    faults: tuple[tuple[PlannedOutcome, float], ...] = (
        ("hang", answers.hang_share),
        ("cut_before", answers.cut_before_share),
        ("cut_after", answers.cut_after_share),
        ("cut_in_answer", answers.cut_in_answer_share),
        ("bad_gateway", answers.bad_gateway_share),
    )
    for outcome, share in faults:
        if dice.happens(outcome, share):
            return outcome, None
    if dice.happens("throttle", answers.throttle_share):
        return "reject", THROUGHPUT_CODE
    if (code := dice.pick("answer code", answers.errors)) is not None:
        return "reject", code
    if dice.happens("held", answers.held_share):
        return "held", None
    if dice.happens("no_wamid", answers.no_wamid_share):
        return "no_wamid", None
    return "accept", None


def draw_statuses(
    config: SimulatorConfig, dice: Dice, outcome: PlannedOutcome, code: int | None, disorderly: bool
) -> Sequence[PlannedStatus]:
    """The statuses of an accepted message, in the order in which they happen."""
    settings = config.statuses
    start_s = drawn(dice, "held for", settings.held) if outcome == "held" else 0.0
    if outcome == "held" and dice.happens("held dropped", settings.held_dropped_share):
        code = PACING_CODE
    elif code is None:
        code = dice.pick("status code", settings.errors)
    words = failed_words(config, dice) if code is not None else delivered_words(config, dice)
    planned = happening(words, config, dice, code, start_s)
    troubled = settings.disorder_share or settings.duplicate_share or settings.without_callback_share
    return disordered(planned, config, dice) if disorderly and troubled else planned


def delivered_words(config: SimulatorConfig, dice: Dice) -> tuple[StatusWord, ...]:
    """The statuses of a message that does not fail."""
    settings = config.statuses
    if not dice.happens("delivered", settings.delivered_rate):
        return ("sent",)
    if not dice.happens("read", settings.read_rate):
        return ("sent", "delivered")
    if dice.happens("read without delivered", settings.read_without_delivered_share):
        return ("sent", "read")
    return ("sent", "delivered", "read")


def failed_words(config: SimulatorConfig, dice: Dice) -> tuple[StatusWord, ...]:
    """The statuses of a failing message: alone, after sent, or around a delivery (several devices)."""
    settings = config.statuses
    if dice.happens("failed and delivered", settings.failed_and_delivered_share):
        if dice.happens("failed first", 0.5):
            return ("sent", "failed", "delivered")
        return ("sent", "delivered", "failed")
    return ("failed",) if dice.happens("failed alone", settings.failed_alone_share) else ("sent", "failed")


def happening(
    words: Sequence[StatusWord], config: SimulatorConfig, dice: Dice, code: int | None, start_s: float
) -> list[PlannedStatus]:
    """Each status at its time, sent as soon as it happens."""
    settings = config.statuses
    at_s, planned = start_s, []
    for word in words:
        spread = (
            settings.sent if word == "sent" else settings.read if word in ("read", "played") else settings.delivered
        )
        at_s += drawn(dice, f"{word} after", spread)
        sent_s = at_s + drawn(dice, f"{word} webhook", config.webhooks.delay)
        planned.append(PlannedStatus(word, at_s, (sent_s,), code=code if word == "failed" else None))
    return planned


def disordered(planned: Sequence[PlannedStatus], config: SimulatorConfig, dice: Dice) -> list[PlannedStatus]:
    """The same statuses, some late and out of order, some twice, some without callback data; never too early."""
    settings = config.statuses
    late = len(planned) > 1 and dice.happens("disorder", settings.disorder_share)
    last_s = planned[-1].happens_s
    result = []
    for status in planned:
        sent_s = status.sent_s
        if late:
            sent_s = (last_s + dice.draw(f"{status.status} late") * settings.late.median_s,)
        if dice.happens(f"{status.status} duplicate", settings.duplicate_share):
            sent_s += (sent_s[0] + drawn(dice, f"{status.status} again", settings.late),)
        bare = status is not planned[-1] and dice.happens(f"{status.status} bare", settings.without_callback_share)
        result.append(replace(status, sent_s=sent_s, with_callback=not bare))
    return result


def sent_in_order(
    words: Sequence[StatusWord], config: SimulatorConfig, dice: Dice, code: int | None
) -> list[PlannedStatus]:
    """The statuses of a rule: they happen in their natural order and are sent in the given order."""
    natural = sorted(words, key=("sent", "delivered", "read", "played", "failed").index)
    happens = {status.status: status for status in happening(natural, config, dice, code, 0.0)}
    sent_s, planned = 0.0, []
    for word in words:
        sent_s = max(sent_s + config.statuses.sent.median_s, happens[word].sent_s[0])
        planned.append(replace(happens[word], sent_s=(sent_s,)))
    return planned


def as_ruled(rule: Rule, statuses: Sequence[PlannedStatus]) -> list[PlannedStatus]:
    """Callback data and copies as the rule defines them."""
    bare = rule.with_callback is False
    return [replace(status, with_callback=not bare, sent_s=status.sent_s * rule.copies) for status in statuses]


def drawn(dice: Dice, name: str, spread: Spread) -> float:
    """A delay from a configured spread."""
    return dice.seconds(name, spread.median_s, spread.p99_s)
