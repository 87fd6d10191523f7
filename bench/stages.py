"""The stages that can be measured, by name."""

from __future__ import annotations

from typing import Any

from bench.bulk.stage import BULK
from bench.contest import Contest
from bench.growth.stage import GROWTH
from bench.idle.stage import IDLE
from bench.ingress.stage import INGRESS
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
        GROWTH,
    )
}
