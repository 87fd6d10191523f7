"""Plans one message: its answer and all its statuses, from the configuration, a rule and the draws. No clock, no I/O.

Times are seconds, not divided by `time_scale` yet. `latency_s` counts from the receipt of the request. The times of
statuses count from the acceptance of the message.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from simulator.config import Delay, PlannedOutcome, Rule, SimulatorConfig, StatusName
from simulator.draws import SeededDraws

THROUGHPUT_CODE = 130429
"""The error above the rate limit."""
PACING_CODE = 132015
"""The error of a message that was held for quality assessment and then dropped."""
ACCEPTED_UNLESS_LOST: frozenset[PlannedOutcome] = frozenset({"hang", "bad_gateway"})
NEVER_ACCEPTED: frozenset[PlannedOutcome] = frozenset({"reject", "cut_before", "foreign"})


class PlannedStatus(msgspec.Struct, frozen=True, gc=False):
    """One status of a message: when it happens, and when it is sent (several times for duplicates)."""

    status: StatusName
    happens_s: float
    sent_s: tuple[float, ...]
    with_callback: bool = True
    code: int | None = None


class MessagePlan(msgspec.Struct, frozen=True, gc=False):
    """The outcome of one message."""

    outcome: PlannedOutcome
    latency_s: float
    code: int | None = None
    lost_if_unanswered: bool = False
    overtaken_s: float | None = None
    """If set, the message is accepted at the receipt of the request, and the answer is later by this time. So a status
    can arrive before the answer."""
    statuses: tuple[PlannedStatus, ...] = ()


def plan_message(
    config: SimulatorConfig, rule: Rule | None, draws: SeededDraws, certain_code: int | None = None
) -> MessagePlan:
    """The plan of a message. A rule forces the outcome, and switches off disorder and duplicates.

    `certain_code` is the code of a `failed` status that every such message gets if it is accepted, unless a rule forces
    something else.
    """
    outcome, code = (rule.outcome, rule.code) if rule else _draw_outcome(config, draws)
    if rule is None and outcome not in NEVER_ACCEPTED:
        code = certain_code
    latency = config.answers.latency
    latency_s = draws.seconds("latency", latency.median_s, latency.p99_s)
    if rule and rule.latency_s is not None:
        latency_s = rule.latency_s
    lost = outcome in NEVER_ACCEPTED or draws.happens("lost", config.answers.lost_share)
    if outcome in NEVER_ACCEPTED:
        return MessagePlan(outcome, latency_s, code, lost_if_unanswered=True)
    if rule and rule.statuses is not None:
        statuses = tuple(_in_order_of_rule(rule.statuses, config, draws, code))
    else:
        statuses = tuple(_draw_statuses(config, draws, outcome, code, with_disorder=rule is None))
    if rule:
        statuses = tuple(_apply_rule(rule, statuses))
    overtaken_s = None
    if rule is None and not lost and draws.happens("overtaking", config.statuses.overtaking_share):
        overtaken_s = _draw_delay(draws, "overtaken", config.statuses.overtaken)
    return MessagePlan(outcome, latency_s, code, lost, overtaken_s, statuses)


def _draw_outcome(config: SimulatorConfig, draws: SeededDraws) -> tuple[PlannedOutcome, int | None]:
    """The outcome of the request without a rule, and its error code."""
    answers = config.answers
    faults: tuple[tuple[PlannedOutcome, float], ...] = (
        ("hang", answers.hang_share),
        ("cut_before", answers.cut_before_share),
        ("cut_after", answers.cut_after_share),
        ("cut_in_answer", answers.cut_in_answer_share),
        ("bad_gateway", answers.bad_gateway_share),
    )
    for outcome, share in faults:
        if draws.happens(outcome, share):
            return outcome, None
    if draws.happens("throttle", answers.throttle_share):
        return "reject", THROUGHPUT_CODE
    if (code := draws.pick("answer code", answers.errors)) is not None:
        return "reject", code
    if draws.happens("held", answers.held_share):
        return "held", None
    if draws.happens("no_wamid", answers.no_wamid_share):
        return "no_wamid", None
    return "accept", None


def _draw_statuses(
    config: SimulatorConfig, draws: SeededDraws, outcome: PlannedOutcome, code: int | None, with_disorder: bool
) -> Sequence[PlannedStatus]:
    """The statuses of an accepted message, in the order in which they happen."""
    settings = config.statuses
    start_s = _draw_delay(draws, "held for", settings.held) if outcome == "held" else 0.0
    if outcome == "held" and draws.happens("held dropped", settings.held_dropped_share):
        code = PACING_CODE
    elif code is None:
        code = draws.pick("status code", settings.errors)
    names = _failed_statuses(config, draws) if code is not None else _delivered_statuses(config, draws)
    planned = _at_their_times(names, config, draws, code, start_s)
    has_disorder = settings.disorder_share or settings.duplicate_share or settings.without_callback_share
    return _add_disorder(planned, config, draws) if with_disorder and has_disorder else planned


def _delivered_statuses(config: SimulatorConfig, draws: SeededDraws) -> tuple[StatusName, ...]:
    """The statuses of a message that does not fail."""
    settings = config.statuses
    if not draws.happens("delivered", settings.delivered_rate):
        return ("sent",)
    if not draws.happens("read", settings.read_rate):
        return ("sent", "delivered")
    if draws.happens("read without delivered", settings.read_without_delivered_share):
        return ("sent", "read")
    return ("sent", "delivered", "read")


def _failed_statuses(config: SimulatorConfig, draws: SeededDraws) -> tuple[StatusName, ...]:
    """The statuses of a message that fails: `failed` alone, after `sent`, or with `delivered` on another device."""
    settings = config.statuses
    if draws.happens("failed and delivered", settings.failed_and_delivered_share):
        if draws.happens("failed first", 0.5):
            return ("sent", "failed", "delivered")
        return ("sent", "delivered", "failed")
    return ("failed",) if draws.happens("failed alone", settings.failed_alone_share) else ("sent", "failed")


def _at_their_times(
    names: Sequence[StatusName], config: SimulatorConfig, draws: SeededDraws, code: int | None, start_s: float
) -> list[PlannedStatus]:
    """These statuses one after another, each sent when it happens."""
    settings = config.statuses
    at_s, planned = start_s, []
    for name in names:
        delay = settings.sent if name == "sent" else settings.read if name in ("read", "played") else settings.delivered
        at_s += _draw_delay(draws, f"{name} after", delay)
        sent_s = at_s + _draw_delay(draws, f"{name} webhook", config.webhooks.delay)
        planned.append(PlannedStatus(name, at_s, (sent_s,), code=code if name == "failed" else None))
    return planned


def _add_disorder(planned: Sequence[PlannedStatus], config: SimulatorConfig, draws: SeededDraws) -> list[PlannedStatus]:
    """The same statuses, some out of order, some twice, some without callback data. None is sent before it happens."""
    settings = config.statuses
    late = len(planned) > 1 and draws.happens("disorder", settings.disorder_share)
    last_s = planned[-1].happens_s
    result = []
    for status in planned:
        sent_s = status.sent_s
        if late:
            sent_s = (last_s + draws.draw(f"{status.status} late") * settings.late.median_s,)
        if draws.happens(f"{status.status} duplicate", settings.duplicate_share):
            sent_s += (sent_s[0] + _draw_delay(draws, f"{status.status} again", settings.late),)
        without = status is not planned[-1] and draws.happens(f"{status.status} bare", settings.without_callback_share)
        result.append(replace(status, sent_s=sent_s, with_callback=not without))
    return result


def _in_order_of_rule(
    names: Sequence[StatusName], config: SimulatorConfig, draws: SeededDraws, code: int | None
) -> list[PlannedStatus]:
    """The statuses of a rule. They happen in their natural order, and they are sent in the order of the rule."""
    natural = sorted(names, key=("sent", "delivered", "read", "played", "failed").index)
    happens = {status.status: status for status in _at_their_times(natural, config, draws, code, 0.0)}
    sent_s, planned = 0.0, []
    for name in names:
        sent_s = max(sent_s + config.statuses.sent.median_s, happens[name].sent_s[0])
        planned.append(replace(happens[name], sent_s=(sent_s,)))
    return planned


def _apply_rule(rule: Rule, statuses: Sequence[PlannedStatus]) -> list[PlannedStatus]:
    """The same statuses with the callback data and the copies of the rule."""
    with_callback = rule.with_callback is not False
    return [replace(status, with_callback=with_callback, sent_s=status.sent_s * rule.copies) for status in statuses]


def _draw_delay(draws: SeededDraws, name: str, delay: Delay) -> float:
    """The seconds of one delay."""
    return draws.seconds(name, delay.median_s, delay.p99_s)
