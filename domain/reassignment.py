"""Where the missing replicas of a topic should be placed.

A topic that was created while brokers were away has too few replicas, and Kafka never adds one by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

Placement = Mapping[str, Mapping[int, tuple[int, ...]]]
"""Topic to partition to the brokers that hold it, the preferred leader first."""


def missing_replicas(found: Placement, brokers: Iterable[int], replicas: int) -> dict[str, dict[int, tuple[int, ...]]]:
    """The partitions with fewer than `replicas`, each with the brokers that should hold it.

    Nothing is moved: every present replica stays, and the preferred leader too. A new replica goes to the broker that
    holds the fewest. With fewer brokers than `replicas` each partition gets all of them.
    """
    known = sorted(set(brokers))
    held = Counter(broker for partitions in found.values() for place in partitions.values() for broker in place)
    wanted: dict[str, dict[int, tuple[int, ...]]] = {}
    for topic in sorted(found):
        for partition, place in sorted(found[topic].items()):
            free = sorted((broker for broker in known if broker not in place), key=lambda each: (held[each], each))
            added = tuple(free[: max(0, replicas - len(place))])
            if added:
                held.update(added)
                wanted.setdefault(topic, {})[partition] = place + added
    return wanted
