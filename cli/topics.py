"""`campaigns topics apply`: creates the Kafka topics, or alters them to the settings of this version."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from cli.options import DryRun, Yes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.confirmation import Consent
    from runtime.settings import Settings
    from topics.apply import Report, TopicReport

topics = typer.Typer(help="Manage the Kafka topics.", no_args_is_help=True)


@topics.callback()
def _topics() -> None:
    """Manage the Kafka topics."""


@topics.command("apply")
def apply(yes: Yes = False, dry_run: DryRun = False) -> None:
    """Create the topics, or alter them to what this version expects."""
    from cli.confirmation import Consent

    raise typer.Exit(run_topics_apply(Consent(yes, dry_run)))


@topics.command("reassignment")
def reassignment() -> None:
    """Print the plan, for Kafka's own program, that gives each topic the replicas that it lacks."""
    from cli.console import run_command

    raise typer.Exit(run_command(print_reassignment))


def print_reassignment(settings: Settings) -> int:
    """Print the plan, and what to do with it. Raises Transient if Kafka does not answer."""
    import json

    from cli.console import note
    from domain.reassignment import missing_replicas
    from runtime.process import EXIT_OK
    from schemas.topics import SPECS
    from topics.apply import REPLICAS
    from topics.cluster import read_cluster

    cluster = read_cluster(settings)
    ours = {settings.topic(spec.name) for spec in SPECS}
    found = {name: each.brokers for name, each in cluster.replication.items() if name in ours}
    wanted = missing_replicas(found, cluster.broker_ids, REPLICAS)
    partitions = [
        {"topic": topic, "partition": partition, "replicas": list(brokers)}
        for topic, each in wanted.items()
        for partition, brokers in each.items()
    ]
    print(json.dumps({"version": 1, "partitions": partitions}))
    if not partitions:
        note(f"every topic has the replicas that {cluster.brokers} broker(s) allow: nothing to do")
        return EXIT_OK
    note(
        f"{len(partitions)} partitions lack replicas. Write the plan to a file, and let Kafka carry it out:\n"
        "  campaigns topics reassignment > plan.json\n"
        f"  kafka-reassign-partitions.sh --bootstrap-server {settings.kafka_bootstrap_servers} "
        "--reassignment-json-file plan.json --execute\n"
        "Then raise min.insync.replicas with `campaigns topics apply`."
    )
    return EXIT_OK


def run_topics_apply(consent: Consent) -> int:
    """`campaigns topics apply`; returns the exit code."""
    from cli.confirmation import decline
    from cli.console import note, report_invalid_settings
    from cli.preparations import apply_topics
    from operations.startup import usable_settings
    from runtime.process import EXIT_OK, EXIT_TRANSIENT, Transient
    from runtime.settings import InvalidSettings
    from topics.apply import compare

    try:
        settings = usable_settings()
        if consent.may_act_at_once:
            report = apply_topics(settings)
        else:
            report = compare(settings)
            changed = [topic for topic in report.topics if topic.is_changed]
            if changed:
                change = "\n  ".join([f"create or alter {len(changed)} topic(s):", *map(_planned, changed)])
                if (ending := decline(consent, change)) is not None:
                    return ending
                report = apply_topics(settings)
    except InvalidSettings as invalid:
        return report_invalid_settings(invalid)
    except Transient as error:
        note(f"not applied: {error}")
        return EXIT_TRANSIENT
    for line in _lines(report):
        note(line)
    return EXIT_OK


def _planned(topic: TopicReport) -> str:
    if topic.created:
        return f"create {topic.name}"
    return f"alter {topic.name}: {_changes(topic)}"


def _changes(topic: TopicReport) -> str:
    added = [f"{topic.partitions_added} partitions added"] if topic.partitions_added else []
    return ", ".join([*added, *topic.settings_changed])


def _lines(report: Report) -> Iterator[str]:
    from topics.apply import REPLICAS

    for topic in report.topics:
        if topic.created:
            yield f"created {topic.name}"
        elif topic.is_changed:
            yield f"altered {topic.name}: {_changes(topic)}"
        if topic.partitions_kept:
            yield f"{topic.name} keeps its {topic.partitions_kept} partitions, more than needed"
    if not any(topic.is_changed for topic in report.topics):
        yield "nothing to do: every topic has the expected settings"
    if report.with_few_replicas:
        yield (
            f"warning: {len(report.with_few_replicas)} topic(s) have fewer than {report.replicas} replicas, because a "
            "broker was away when they were created: run campaigns topics reassignment"
        )
    if report.replicas < REPLICAS:
        yield (
            f"warning: {report.brokers} broker(s) allow {report.replicas} replica(s) only: "
            "a lost disk loses acknowledged records"
        )
