"""The plans repeat with the seed, have the configured disorder, and send no status before it happens."""

from collections import Counter

import pytest

from simulator.config import AnswerConfig, Rule, SimulatorConfig, StatusConfig, StatusName
from simulator.draws import SeededDraws
from simulator.plan import MessagePlan, plan_message
from simulator.presets import realistic, tidy


def plans(config: SimulatorConfig, count: int = 2000) -> list[MessagePlan]:
    return [plan_message(config, None, SeededDraws(config.seed, f"message {n}", 1)) for n in range(count)]


def with_statuses(**settings: object) -> SimulatorConfig:
    return SimulatorConfig(statuses=StatusConfig.model_validate(settings))


def words(plan: MessagePlan) -> tuple[StatusName, ...]:
    return tuple(status.status for status in plan.statuses)


def test_the_same_seed_message_and_post_give_the_same_plan() -> None:
    assert plans(realistic()) == plans(realistic())


def test_another_seed_gives_other_plans() -> None:
    assert plans(realistic()) != plans(realistic().model_copy(update={"seed": 2}))


def test_the_second_post_of_a_message_is_drawn_again() -> None:
    config = SimulatorConfig(answers=AnswerConfig(errors={131000: 0.5}))
    both = [
        [plan_message(config, None, SeededDraws(1, f"message {n}", nth)).outcome for nth in (1, 2)] for n in range(100)
    ]
    assert len({tuple(pair) for pair in both}) == 4


def test_a_draw_does_not_depend_on_the_draws_before_it() -> None:
    first, second = SeededDraws(1, "a", 1), SeededDraws(1, "a", 1)
    second.draw("something else")
    assert first.draw("read") == second.draw("read")


def test_shares_are_met() -> None:
    hits = sum(SeededDraws(1, str(n), 1).happens("x", 0.3) for n in range(10_000))
    assert 2_800 < hits < 3_200


def test_delays_have_their_median_and_tail() -> None:
    drawn = sorted(SeededDraws(1, str(n), 1).seconds("x", 2.0, 10.0) for n in range(4_000))
    assert 1.8 < drawn[2_000] < 2.2
    assert 8.0 < drawn[3_960] < 12.0
    assert drawn[-1] <= 30.0


def test_tidy_fails_no_message_and_sends_each_status_once_in_order() -> None:
    for plan in plans(tidy(), 300):
        assert plan.outcome == "accept"
        assert words(plan) == ("sent", "delivered", "read")
        times_s = [status.sent_s for status in plan.statuses]
        assert times_s == sorted(times_s)
        assert all(len(each) == 1 for each in times_s)
        assert all(status.with_callback for status in plan.statuses)


def test_realistic_has_every_kind_of_fault() -> None:
    drawn = plans(realistic(), 20_000)
    outcomes = Counter(plan.outcome for plan in drawn)
    faults = {"accept", "reject", "held", "no_wamid", "cut_after", "cut_in_answer", "bad_gateway"}
    assert set(outcomes) == faults
    shapes = {words(plan) for plan in drawn}
    assert {("sent", "read"), ("failed",), ("sent", "failed", "delivered"), ("sent", "delivered", "failed")} <= shapes
    assert any(plan.overtaken_s is not None for plan in drawn)
    assert any(len(status.sent_s) > 1 for plan in drawn for status in plan.statuses)
    assert any([s.sent_s for s in plan.statuses] != sorted(s.sent_s for s in plan.statuses) for plan in drawn)


def test_every_accepted_message_of_realistic_has_a_last_status_with_callback_data() -> None:
    for plan in plans(realistic(), 5_000):
        if plan.outcome != "reject":
            assert plan.statuses[-1].with_callback
            assert not plan.lost_if_unanswered


def test_no_status_is_sent_before_its_time_in_any_disorder() -> None:
    config = with_statuses(disorder_share=1.0, duplicate_share=0.5, errors={131026: 0.3})
    for plan in plans(config):
        happens = [status.happens_s for status in plan.statuses]
        assert happens == sorted(happens)
        assert all(at_s >= status.happens_s for status in plan.statuses for at_s in status.sent_s)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"delivered_rate": 0.0}, ("sent",)),
        ({"read_rate": 0.0}, ("sent", "delivered")),
        ({"read_without_delivered_share": 1.0}, ("sent", "read")),
        ({"errors": {131026: 1.0}, "failed_alone_share": 1.0}, ("failed",)),
        ({"errors": {131026: 1.0}, "failed_alone_share": 0.0}, ("sent", "failed")),
    ],
)
def test_rates_at_their_ends_decide_the_statuses(settings: dict[str, object], expected: tuple[str, ...]) -> None:
    assert {words(plan) for plan in plans(with_statuses(**settings), 50)} == {expected}


def test_a_message_held_for_quality_may_be_dropped_with_132015() -> None:
    config = SimulatorConfig(
        answers=AnswerConfig(held_share=1.0), statuses=StatusConfig(held_dropped_share=1.0, failed_alone_share=1.0)
    )
    for plan in plans(config, 20):
        assert (plan.outcome, words(plan)) == ("held", ("failed",))
        assert plan.statuses[0].code == 132015


def test_a_rule_sends_its_statuses_in_its_own_order() -> None:
    rule = Rule(statuses=("read", "sent", "delivered"), with_callback=False, copies=3)
    plan = plan_message(SimulatorConfig(), rule, SeededDraws(1, "a", 1))
    assert words(plan) == ("read", "sent", "delivered")
    times_s = [status.sent_s[0] for status in plan.statuses]
    assert times_s == sorted(times_s)
    happens = {status.status: status.happens_s for status in plan.statuses}
    assert happens["sent"] < happens["delivered"] < happens["read"]
    assert all(len(status.sent_s) == 3 and not status.with_callback for status in plan.statuses)


def test_a_rule_without_statuses_sends_none() -> None:
    assert plan_message(SimulatorConfig(), Rule(statuses=()), SeededDraws(1, "a", 1)).statuses == ()


def test_a_rule_switches_off_the_configured_disorder() -> None:
    config = with_statuses(disorder_share=1.0, duplicate_share=1.0, overtaking_share=1.0)
    plan = plan_message(config, Rule(numbers=frozenset({"1"})), SeededDraws(1, "a", 1))
    assert plan.overtaken_s is None
    assert all(len(status.sent_s) == 1 for status in plan.statuses)


def test_only_a_share_of_the_requests_is_lost() -> None:
    lost = [plan.lost_if_unanswered for plan in plans(SimulatorConfig(answers=AnswerConfig(lost_share=0.5)), 200)]
    assert set(lost) == {True, False}
