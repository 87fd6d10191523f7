"""Run the benchmarks of some stages, print their tables, and write `docs/benchmarks.md`.

    python -m bench                       every stage
    python -m bench ingress --rounds 5    one stage
    python -m bench sink --large          the large stages of the sink
    python -m bench growth --large --rows-max 1000000   the stages of growth, up to a size
    python -m bench --smoke               everything, tiny: it proves that all of it runs, and writes no page

The last line of a stage is JSON about the fastest peer. A stage fails if a result of ours is not right.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

from bench.contest import ROUNDS_MIN, Arena, CaseResult, Contest, hold
from bench.environments import install
from bench.page import measurement_section, section, with_sections
from bench.report import json_lines, table
from bench.solo import SoloStage
from bench.stages import STAGES, chosen
from stack.embedded import embedded_stack
from stack.environment import StackUnavailable

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stages that are named; none means all. Returns 1 if a result of ours is wrong."""
    options = _options(argv)
    stages = chosen(options.stages, is_large=options.large)
    if not options.smoke:
        for name in sorted({each for stage in stages for each in stage.environments()}):
            _install(name)
    rounds = 1 if options.smoke else max(ROUNDS_MIN, options.rounds)
    is_right = True
    with _arena(
        options,
        needs_kafka=any(stage.needs_kafka for stage in stages),
        needs_postgres=any(stage.needs_postgres for stage in stages),
    ) as arena:
        for stage in stages:
            if isinstance(stage, SoloStage):
                is_right = _measure(stage, arena) and is_right
            else:
                is_right = _hold(stage, arena, rounds) and is_right
    return 0 if is_right else 1


def _install(name: str) -> None:
    """Install an environment. Without it its peers stay out."""
    try:
        install(name)
    except (StackUnavailable, CalledProcessError) as error:
        _note(f"the peers in the environment {name} stay out, because it cannot be installed: {error}")


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("stages", nargs="*", choices=[[], *STAGES], help="stages to measure; none means all")
    parser.add_argument("--rounds", type=int, default=ROUNDS_MIN, help=f"runs of each contestant, {ROUNDS_MIN} or more")
    parser.add_argument("--smoke", action="store_true", help="a tiny run of everything, without installing anything")
    parser.add_argument("--large", action="store_true", help="the large stages: minutes each, and up to 40 GB of disk")
    parser.add_argument("--keep", type=Path, help="a folder that keeps large tables for the next run, about 10 GB")
    parser.add_argument("--rows-max", type=int, help="the largest size of a stage that grows; each size without it")
    parser.add_argument("--kafka", default="", help="addresses of a Kafka to use instead of an embedded one")
    parser.add_argument("--database-url", default="", help="address of a Postgres to use instead of an embedded one")
    return parser.parse_args(argv)


@contextmanager
def _arena(options: argparse.Namespace, *, needs_kafka: bool, needs_postgres: bool) -> Iterator[Arena]:
    """The given servers, or embedded ones."""
    with (
        tempfile.TemporaryDirectory(prefix="campaigns-bench-", ignore_cleanup_errors=True) as folder,
        embedded_stack(
            kafka=needs_kafka and not options.kafka, postgres=needs_postgres and not options.database_url
        ) as stack,
    ):
        yield Arena(
            kafka=options.kafka or stack.kafka_bootstrap_servers,
            database_url=options.database_url or stack.database_url,
            folder=Path(folder),
            kept=options.keep,
            kafka_pid=stack.kafka_pid,
            postgres_pid=stack.postgres_pid,
            is_smoke=options.smoke,
            rows_max=options.rows_max,
        )


def _note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _hold(stage: Contest[Any], arena: Arena, rounds: int) -> bool:
    """Hold a contest and report it. Returns whether all results of ours are right."""
    load = os.getloadavg()[0]
    results = hold(stage, arena, rounds, _note)
    if not arena.is_smoke:
        _write(stage.name, section(stage, results, rounds, _today(), load))
    return _print(stage, results)


def _measure(stage: SoloStage, arena: Arena) -> bool:
    """Measure a stage without a peer and report it. Returns whether all results are right."""
    load = os.getloadavg()[0]
    measured = stage.measure(arena, _note)
    if not arena.is_smoke:
        _write(stage.name, measurement_section(stage, measured, _today(), load))
    for each in measured.tables:
        print(f"\n{stage.title}: {each.title}\n", *each.lines(), sep="\n")
    print("", *measured.notes, measured.json_line(stage.name), sep="\n", flush=True)
    return measured.right == 1.0


def _today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"


def _print(stage: Contest[Any], results: Sequence[CaseResult]) -> bool:
    """Print the tables and the lines of JSON. Returns whether all results of ours are right."""
    for result in results:
        print(f"\n{stage.title}: {result.title}\n", *table(result), sep="\n")
    print()
    for line in json_lines(stage.name, results[0]):
        print(line, flush=True)
    return all(run.right == 1.0 for result in results for run in result.runs[result.ours])


def _write(name: str, text: str) -> None:
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    PAGE.write_text(with_sections(page, {name: text}), encoding="utf-8")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that servers and databases are removed
    sys.exit(main())
