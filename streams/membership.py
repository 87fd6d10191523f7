"""Lets a consumer leave its group when it stops, although it has a stable name, so that the others take over at once.

A member with a stable name (`CAMPAIGNS_INSTANCE`) that is killed gets its partitions back without a rebalance, if it
returns within the session timeout. aiokafka treats a stop in the same way: it sends no LeaveGroup, and for the rest of
that time nobody reads the partitions.
"""

from __future__ import annotations

from typing import Any


def leave_when_stopped(app: Any) -> None:
    """Let the consumer of this Faust app send LeaveGroup with its member id when it stops.

    aiokafka has no option for it: `GroupCoordinator.close` sends it to a member without an instance id. So the id is
    removed here. The broker knows the member by its member id.
    """
    consumer = app._consumer._thread._consumer  # noqa: SLF001 - neither Faust nor aiokafka shows the coordinator
    consumer._coordinator._group_instance_id = None  # noqa: SLF001 - as above
