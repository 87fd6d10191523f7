"""Missing replicas are added, and nothing else moves."""

from hypothesis import given
from hypothesis import strategies as st

from domain.reassignment import Placement, missing_replicas

BROKERS = (1, 2, 3)
PLACES = st.lists(st.sampled_from(BROKERS), min_size=1, max_size=3, unique=True).map(tuple)
FOUND = st.dictionaries(
    st.sampled_from(["a", "b", "c"]), st.dictionaries(st.integers(0, 5), PLACES, max_size=6), max_size=3
)


def test_each_partition_gets_the_brokers_that_hold_the_fewest() -> None:
    found: Placement = {"jobs": {0: (1,), 1: (1,)}, "stats": {0: (3, 1, 2)}}
    assert missing_replicas(found, BROKERS, 3) == {"jobs": {0: (1, 2, 3), 1: (1, 2, 3)}}
    assert missing_replicas({"jobs": {0: (1,), 1: (1,)}}, BROKERS, 2) == {"jobs": {0: (1, 2), 1: (1, 3)}}


def test_a_small_cluster_gives_all_it_has() -> None:
    assert missing_replicas({"jobs": {0: (1,)}}, (1, 2), 3) == {"jobs": {0: (1, 2)}}
    assert missing_replicas({"jobs": {0: (1,)}}, (1,), 3) == {}


@given(found=FOUND, replicas=st.integers(1, 3))
def test_replicas_are_only_added_and_a_second_plan_is_empty(
    found: dict[str, dict[int, tuple[int, ...]]], replicas: int
) -> None:
    wanted = missing_replicas(found, BROKERS, replicas)
    after = {topic: {**partitions, **wanted.get(topic, {})} for topic, partitions in found.items()}
    for topic, partitions in wanted.items():
        for partition, place in partitions.items():
            old = found[topic][partition]
            assert place[: len(old)] == old
            assert len(place) == len(set(place)) == replicas
    assert missing_replicas(after, BROKERS, replicas) == {}
