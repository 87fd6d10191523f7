"""Checks settings, Kafka, topics, PostgreSQL, schema, numbers and programs for `campaigns check`. It changes nothing.

A finding is `ok`, `warning` (works, with a risk) or `wrong` (does not work), and names the next step.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import psycopg

from operations.local_up import LocalUp
from operations.number_checks import check_numbers
from operations.replication import Judgement, judge_standbys, judge_topics
from runtime.process import Transient
from runtime.settings import STATE_FOLDER, Settings
from runtime.settings_rules import published_secrets, short_secrets
from runtime.settings_values import is_loopback
from schemas.topics import SPECS
from tables.database import connect_now
from tables.migrate import SchemaState, read_state
from tables.server import ServerState, list_standbys, read_server, read_synchronous_names
from topics.access import MissingRight, missing_rights
from topics.apply import REPLICAS
from topics.cluster import ClusterState, KafkaRefused, read_cluster

TIMEOUT_S = 5.0
"""For the first response of each server."""
POSTGRES_SUPPORTED = range(15, 19)
ACCOUNT = (
    "correct CAMPAIGNS_KAFKA_USER, CAMPAIGNS_KAFKA_PASSWORD, and security.protocol and sasl.mechanism in "
    "CAMPAIGNS_KAFKA_EXTRA"
)
NOT_RUNNING = "start it, or correct its address in the settings; `campaigns up` starts servers of its own"


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """One checked part, its state and the next step."""

    about: str
    state: Literal["ok", "warning", "wrong"]
    found: str
    next_step: str = ""


def check(settings: Settings, up: LocalUp) -> Iterator[CheckFinding]:
    """Yield every finding, in the order in which the parts depend on each other. `up`: that of this directory."""
    yield from _programs()
    yield from _settings(settings)
    yield from _kafka(settings, up)
    yield from _postgres(settings, up)
    yield from (_as_finding(f"number {number}", judged) for number, judged in check_numbers(settings))


def _programs() -> Iterator[CheckFinding]:
    yield CheckFinding("Python", "ok", platform.python_version())
    if shutil.which("psql") is None:
        yield CheckFinding("psql", "warning", "not installed", "`campaigns psql -c SQL` works without it")


def _settings(settings: Settings) -> Iterator[CheckFinding]:
    yield CheckFinding("settings", "ok", "valid")
    if not settings.whatsapp_access_token.get_secret_value():
        step = "set CAMPAIGNS_WHATSAPP_ACCESS_TOKEN: the sender does not start without"
        yield CheckFinding("WhatsApp", "warning", "no access token", step)
    if not settings.callback_secret.get_secret_value():
        step = "set CAMPAIGNS_CALLBACK_SECRET: the sender and the reconciler do not start without"
        yield CheckFinding("callback", "wrong", "no secret", step)
    if not settings.webhook_app_secrets:
        yield CheckFinding(
            "webhooks",
            "warning",
            "no app secret",
            "set CAMPAIGNS_WEBHOOK_APP_SECRETS: webhooks are refused without",
        )
    for weak in (*published_secrets(settings), *short_secrets(settings)):
        variable, _, reason = weak.partition(": ")
        yield CheckFinding(variable, "warning", reason, "give it a secret of your own before you send for real")
    if not settings.api_keys and not is_loopback(settings.api_host):
        yield CheckFinding(
            "API",
            "wrong",
            "CAMPAIGNS_API_HOST is not loopback, and there is no key",
            "set CAMPAIGNS_API_KEYS: the API does not start without",
        )


def _kafka(settings: Settings, up: LocalUp) -> Iterator[CheckFinding]:
    try:
        cluster = read_cluster(settings, TIMEOUT_S)
    except KafkaRefused as refusal:
        yield CheckFinding("Kafka", "wrong", f"{settings.kafka_bootstrap_servers}: {refusal}", ACCOUNT)
        return
    except Transient as error:
        address = settings.kafka_bootstrap_servers
        step = _not_running("Kafka", "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS", address, up)
        yield CheckFinding("Kafka", "wrong", f"{address}: {error}", step)
        return
    yield _brokers(settings.kafka_bootstrap_servers, cluster)
    wanted = {settings.topic(spec.name): spec.partitions for spec in SPECS}
    try:
        missing = missing_rights(settings, TIMEOUT_S)
    except Transient as error:
        yield CheckFinding("Kafka rights", "warning", f"not known: {error}", "run this again")
    else:
        yield _rights(missing)
        hidden = {each.name for each in missing}
        wanted = {name: n for name, n in wanted.items() if name in cluster.partitions or name not in hidden}
    yield _topics(wanted, cluster)
    ours = {name: cluster.replication[name] for name in wanted if name in cluster.replication}
    yield _as_finding("replication", judge_topics(ours, cluster.brokers))


def _as_finding(about: str, judged: Judgement) -> CheckFinding:
    return CheckFinding(about, judged.state, judged.found, judged.next_step)


def _rights(missing: Sequence[MissingRight]) -> CheckFinding:
    """A right that is missing shows only when a process first needs it, which may be late."""
    if not missing:
        return CheckFinding("Kafka rights", "ok", "on all topics and consumer groups")
    shown = [f"{' and '.join(each.operations)} on the {each.kind} {each.name}" for each in missing]
    step = "give these rights to the account of the settings (with a prefix, one rule covers all)"
    return CheckFinding("Kafka rights", "wrong", f"missing: {', '.join(shown)}", step)


def _not_running(server: str, variable: str, address: str, up: LocalUp) -> str:
    """What to do about a server that does not answer. It depends on who runs it."""
    if not up.owns(server, variable, address):
        return NOT_RUNNING
    if up.pid:
        log = f"{STATE_FOLDER}/logs/{'kafka' if server == 'Kafka' else 'postgres'}.log"
        return (
            f"the `campaigns up` of this directory (process {up.pid}) starts it again when it has ended, or has not "
            f"answered for 20 s. Its log is {log}. If `campaigns check` still says this after two minutes, end process "
            f"{up.pid} (kill -9 {up.pid} always does) and start `campaigns up` here again"
        )
    return "it belongs to a `campaigns up` of this directory that was killed: start `campaigns up` here again"


def _brokers(address: str, cluster: ClusterState) -> CheckFinding:
    found = f"{address}, {cluster.brokers} broker(s)"
    if cluster.brokers >= REPLICAS:
        return CheckFinding("Kafka", "ok", found)
    risk = f"fewer than {REPLICAS} brokers: a lost disk loses acknowledged records"
    return CheckFinding("Kafka", "warning", found, risk)


def _topics(wanted: Mapping[str, int], cluster: ClusterState) -> CheckFinding:
    """Compare the topics with `wanted`, the number of partitions by name."""
    missing = sum(name not in cluster.partitions for name in wanted)
    small = sum(0 < cluster.partitions.get(name, 0) < partitions for name, partitions in wanted.items())
    parts = [f"{missing} missing"] if missing else []
    parts += [f"{small} with too few partitions"] if small else []
    if parts:
        return CheckFinding("topics", "wrong", ", ".join(parts), "campaigns topics apply")
    return CheckFinding("topics", "ok", f"all {len(wanted)} exist")


def _postgres(settings: Settings, up: LocalUp) -> Iterator[CheckFinding]:
    url = settings.database_url.get_secret_value()
    try:
        with connect_now(url, application_name="campaigns-check", statement_timeout_s=TIMEOUT_S) as connection:
            server = read_server(connection)
            yield from _version(server)
            yield from _durability(server)
            if judged := judge_standbys(list_standbys(connection), read_synchronous_names(connection)):
                yield _as_finding("standby", judged)
            yield from _schema(read_state(connection))
    except psycopg.OperationalError as error:
        step = _not_running("PostgreSQL", "CAMPAIGNS_DATABASE_URL", url, up)
        yield CheckFinding("PostgreSQL", "wrong", " ".join(str(error).split()), step)


def _version(state: ServerState) -> Iterator[CheckFinding]:
    known = state.major_version in POSTGRES_SUPPORTED
    step = "" if known else f"supported are {POSTGRES_SUPPORTED.start} to {POSTGRES_SUPPORTED.stop - 1}"
    yield CheckFinding("PostgreSQL", "ok" if known else "warning", str(state.major_version), step)


def _durability(state: ServerState) -> Iterator[CheckFinding]:
    if state.synchronous_commit == "off":
        yield CheckFinding("synchronous_commit", "wrong", "off", "turn it on: a crash could repeat a send")


def _schema(state: SchemaState) -> Iterator[CheckFinding]:
    if state.changed:
        found = f"applied migrations differ from this version's: {', '.join(state.changed)}"
        yield CheckFinding("schema", "wrong", found, "campaigns db migrate explains what to do")
    elif state.missing:
        yield CheckFinding("schema", "wrong", f"{state.missing} migration(s) missing", "campaigns db migrate")
    elif state.unknown:
        found = f"{state.unknown} migration(s) newer than this version"
        yield CheckFinding("schema", "wrong", found, "install that version")
    else:
        yield CheckFinding("schema", "ok", f"migration {state.newest:04d}")
