"""`campaigns topics apply`: creates the Kafka topics, or alters them to the settings of this version."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from topics.apply import Report

topics = typer.Typer(help="Manage the Kafka topics.", no_args_is_help=True)


@topics.callback()
def _topics() -> None:
    """Manage the Kafka topics."""


@topics.command("apply")
def apply() -> None:
    """Create the topics, or alter them to what this version expects."""
    raise typer.Exit(run_topics_apply())


def run_topics_apply() -> int:
    """`campaigns topics apply`; returns the exit code."""
    from cli.console import note, report_invalid_settings
    from cli.preparations import apply_topics
    from operations.startup import usable_settings
    from runtime.process import EXIT_OK, EXIT_TRANSIENT, Transient
    from runtime.settings import InvalidSettings

    try:
        report = apply_topics(usable_settings())
    except InvalidSettings as invalid:
        return report_invalid_settings(invalid)
    except Transient as error:
        note(f"not applied: {error}")
        return EXIT_TRANSIENT
    for line in _lines(report):
        note(line)
    return EXIT_OK


def _lines(report: Report) -> Iterator[str]:
    from topics.apply import REPLICAS

    for topic in report.topics:
        if topic.created:
            yield f"created {topic.name}"
        elif topic.is_changed:
            changes = [f"{topic.partitions_added} partitions added"] if topic.partitions_added else []
            yield f"altered {topic.name}: {', '.join([*changes, *topic.settings_changed])}"
        if topic.partitions_kept:
            yield f"{topic.name} keeps its {topic.partitions_kept} partitions, more than needed"
    if not any(topic.is_changed for topic in report.topics):
        yield "nothing to do: every topic has the expected settings"
    if report.replicas < REPLICAS:
        yield (
            f"warning: {report.brokers} broker(s) allow {report.replicas} replica(s) only: "
            "a lost disk loses acknowledged records"
        )
