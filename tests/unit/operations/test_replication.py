"""The judgement of the copies of the data, for each state of a cluster and of a standby."""

from collections.abc import Mapping

import pytest

from operations.replication import judge_standbys, judge_topics
from tables.server import Standby
from topics.cluster import Replication

THREE = {0: (1, 2, 3), 1: (2, 3, 1)}


def topic(
    brokers: Mapping[int, tuple[int, ...]], in_sync: dict[int, int] | None = None, leaderless: int = 0
) -> Replication:
    return Replication(brokers, in_sync or {number: len(held) for number, held in brokers.items()}, leaderless)


def test_a_complete_cluster_is_well() -> None:
    assert judge_topics({"jobs": topic(THREE)}, 3).state == "ok"
    assert judge_topics({"jobs": topic({0: (1,)})}, 1).state == "ok", "one broker allows no more"


def test_a_broker_that_is_away_is_a_risk_and_not_a_missing_replica() -> None:
    judged = judge_topics({"jobs": topic(THREE, {0: 2, 1: 2})}, 2)
    assert (judged.state, "2 partition(s)" in judged.found) == ("warning", True)
    assert "reassignment" not in judged.next_step


def test_a_topic_that_was_created_while_a_broker_was_away_is_named() -> None:
    judged = judge_topics({"jobs": topic(THREE), "stats": topic({0: (1, 2)})}, 3)
    assert judged.state == "warning"
    assert "stats" in judged.found
    assert "jobs" not in judged.found
    assert "campaigns topics reassignment" in judged.next_step


def test_a_topic_with_too_few_replicas_is_named_also_while_the_broker_is_away_again() -> None:
    assert "stats" in judge_topics({"jobs": topic(THREE, {0: 2, 1: 2}), "stats": topic({0: (1, 2)})}, 2).found


def test_a_partition_without_a_leader_does_not_work() -> None:
    assert judge_topics({"jobs": topic(THREE, {0: 1, 1: 1}, leaderless=1)}, 1).state == "wrong"


@pytest.mark.parametrize(
    ("standbys", "names", "state"),
    [
        ([], "", None),
        ([Standby("two", "sync", 0, 0.0)], "two", "ok"),
        ([Standby("two", "async", 0, None)], "", "ok"),
        ([Standby("two", "", None, None)], "", "ok"),
        ([], "two", "wrong"),
        ([Standby("two", "async", 0, 0.0)], "other", "wrong"),
        ([Standby("two", "quorum", 100 * 1024**2, 1.0)], "ANY 1 (two)", "warning"),
        ([Standby("two", "async", 0, 31.0)], "", "warning"),
    ],
)
def test_each_state_of_the_standbys(standbys: list[Standby], names: str, state: str | None) -> None:
    judged = judge_standbys(standbys, names)
    assert (judged.state if judged else None) == state
    assert judged is None or (judged.state == "ok") == (judged.next_step == "")
