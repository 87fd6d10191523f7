"""Judges the copies of the data: the replicas of the topics, and the standbys of Postgres. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tables.server import Standby
from topics.apply import REPLICAS
from topics.cluster import Replication

STANDBY_LAG_S = 30.0
STANDBY_BYTES = 64 * 1024**2
SHOWN_MAX = 5


@dataclass(frozen=True, slots=True)
class Judgement:
    """`ok`, `warning` (a risk) or `wrong` (does not work), the fact, and the next step."""

    state: Literal["ok", "warning", "wrong"]
    found: str
    next_step: str = ""


def judge_topics(found: Mapping[str, Replication], brokers: int) -> Judgement:
    """The partitions that nobody can use, the replicas that are behind, and those that never were.

    `brokers`: how many answer now. A broker that is away counts as well, because the topics name it.
    """
    if leaderless := sum(each.leaderless for each in found.values()):
        step = "start the brokers that hold them: nothing can be written to these partitions"
        return Judgement("wrong", f"{leaderless} partition(s) without a leader", step)
    named = {broker for each in found.values() for held in each.brokers.values() for broker in held}
    wanted = min(REPLICAS, max(brokers, len(named)))
    few = sorted(name for name, each in found.items() if each.replicas < wanted)
    behind = sum(each.under_replicated for each in found.values())
    parts = [f"{behind} partition(s) with a replica that is behind or away"] if behind else []
    parts += [f"{len(few)} topic(s) with fewer than {wanted} replicas: {_shown(few)}"] if few else []
    if parts:
        step = (
            "`campaigns topics reassignment` plans the missing replicas" if few else "start the brokers that are away"
        )
        return Judgement("warning", "; ".join(parts), step)
    return Judgement("ok", f"{min((each.replicas for each in found.values()), default=0)} replica(s), all in sync")


def judge_standbys(standbys: Sequence[Standby], synchronous_names: str) -> Judgement | None:
    """Whether each standby follows, and whether commits have one to wait for. None if there is no standby at all."""
    late = [each for each in standbys if _is_late(each)]
    if synchronous_names and not any(each.sync_state in ("sync", "quorum") for each in standbys):
        step = "start the standby, or empty synchronous_standby_names: until then nothing is written"
        return Judgement("wrong", "commits wait for a synchronous standby, and none is connected", step)
    if late:
        found = ", ".join(f"{each.name} is {_behind(each)} behind" for each in late[:SHOWN_MAX])
        return Judgement("warning", found, "a failover to it would lose what it lacks, unless it is synchronous")
    if not standbys:
        return None
    return Judgement("ok", ", ".join(f"{each.name} ({each.sync_state or 'unknown'})" for each in standbys[:SHOWN_MAX]))


def _is_late(standby: Standby) -> bool:
    return (standby.bytes_behind or 0) > STANDBY_BYTES or (standby.seconds_behind or 0.0) > STANDBY_LAG_S


def _behind(standby: Standby) -> str:
    megabytes = f"{(standby.bytes_behind or 0) / 1024**2:.0f} MB"
    return megabytes if standby.seconds_behind is None else f"{megabytes} and {standby.seconds_behind:.0f} s"


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN_MAX} more" if len(names) > SHOWN_MAX else ""
    return ", ".join(names[:SHOWN_MAX]) + more
