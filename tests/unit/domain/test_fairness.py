"""The division over time, on the case that was seen."""

from __future__ import annotations

from domain.fairness import Turns, due_shares


def test_no_campaign_of_twenty_starves_at_eight_messages_a_step() -> None:
    turns = Turns[int]()
    received = [0] * 20
    for _ in range(10):
        for key, share in turns.divide(8, dict.fromkeys(range(20), 1000)).items():
            received[key] += share
    assert received == [4] * 20


def test_retries_get_their_share_beside_new_recipients() -> None:
    turns = Turns[str]()
    got = {"fresh": 0, "tried": 0}
    for _ in range(100):
        for lane, share in turns.divide(1, {"fresh": 1000, "tried": 1000}, {"fresh": 0.8, "tried": 0.2}).items():
            got[lane] += share
    assert got == {"fresh": 80, "tried": 20}


def test_a_small_demand_leaves_the_rest_to_the_others() -> None:
    assert due_shares(50, {"a": 5, "b": 100, "c": 100}, {"a": 1, "b": 1, "c": 1}) == {"a": 5, "b": 22.5, "c": 22.5}
    assert due_shares(10, {"a": 0, "b": 1, "c": 3}, {"a": 1, "b": 1, "c": 1}) == {"a": 0.0, "b": 1.0, "c": 3.0}
    assert due_shares(10, {"a": 7, "b": 100}, {"a": 4, "b": 1}) == {"a": 7, "b": 3}
    assert Turns[str]().divide(50, {"a": 5, "b": 100, "c": 100}) == {"a": 5, "b": 23, "c": 22}


def test_nothing_to_divide() -> None:
    assert Turns[str]().divide(0, {"a": 3}) == {"a": 0}
    assert Turns[str]().divide(10, {}) == {}
    assert Turns[str]().divide(10, {"a": 0}) == {"a": 0}


def test_small_demands_are_met_where_there_is_room() -> None:
    assert Turns[str]().divide(2, {"a": 1, "b": 1}) == {"a": 1, "b": 1}
    assert Turns[str]().divide(9, {"a": 1, "b": 0, "c": 2}) == {"a": 1, "b": 0, "c": 2}


def test_a_claimant_that_comes_later_gets_no_turn_before_those_that_wait() -> None:
    turns = Turns[str]()
    assert turns.divide(1, {"a": 5, "b": 5}) == {"a": 1, "b": 0}
    assert turns.divide(1, {"c": 5, "a": 5, "b": 5}) == {"c": 0, "a": 0, "b": 1}


def test_a_claimant_that_wants_nothing_loses_its_credit() -> None:
    turns = Turns[str]()
    turns.divide(1, {"a": 5, "b": 5})
    assert turns.divide(1, {"a": 5, "b": 0}) == {"a": 1, "b": 0}
    assert turns.credits == {"a": -0.5}


def test_a_credit_buys_no_more_than_the_demand() -> None:
    turns = Turns({"late": 3.0, "other": 0.0})
    assert turns.divide(2, {"late": 1, "other": 5}) == {"late": 1, "other": 1}
