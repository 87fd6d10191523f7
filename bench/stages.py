"""The stages that can be measured, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.bulk.stage import BULK
from bench.contest import Contest
from bench.growth.from_topic import VERIFY_TOPIC
from bench.growth.stage import GROWTH
from bench.idle.stage import IDLE
from bench.ingress.stage import INGRESS
from bench.live.stage import LIVE
from bench.loop.stage import LOOP
from bench.loop.sustained import LOOP_SUSTAINED
from bench.memory.stage import MEMORY
from bench.reconciler.stage import RECONCILER
from bench.sender.stage import SENDER
from bench.sink.scale import SINK_SCALE
from bench.sink.stage import SINK, SINK_LONG
from bench.solo import SoloStage

STAGES: dict[str, Contest[Any] | SoloStage] = {
    stage.name: stage
    for stage in (
        INGRESS,
        RECONCILER,
        SENDER,
        SINK,
        SINK_LONG,
        SINK_SCALE,
        IDLE,
        BULK,
        LOOP,
        LOOP_SUSTAINED,
        GROWTH,
        VERIFY_TOPIC,
        LIVE,
        MEMORY,
    )
}


def chosen(names: Sequence[str], *, is_large: bool) -> list[Contest[Any] | SoloStage]:
    """The stages that are named; without names all of one size. The large stages of `sink` begin with its name."""
    if is_large:
        return [stage for stage in STAGES.values() if stage.is_large and stage.name.startswith(tuple(names) or "")]
    if names:
        return [STAGES[name] for name in names]
    return [stage for stage in STAGES.values() if not stage.is_large]
