"""The jars of the Kafka broker: downloaded once from Maven, checked against a lock, and kept in the cache.

The default version of Kafka has the lock `kafka.lock`, and each other one `kafka-VERSION.lock`. The library jgo
resolves and downloads. It only warns about an incorrect checksum, so this module checks the SHA-256 of every jar, and a
jar that differs is never run. Maintainers write a lock with `python -m stack.jars`.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stack.environment import (
    KAFKA_VERSIONS,
    StackUnavailable,
    cache_folder,
    creation_lock,
    kafka_version,
    maven_url,
    missing_package,
)

LOGGING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"
"""The bridge that passes the log lines of the broker's libraries to log4j."""

DOWNLOADS_AT_ONCE = 8
TRIES = 3
"""Downloads of one jar before the setup fails."""


@dataclass(frozen=True)
class Jar:
    """One pinned jar."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """The name of the jar in the folder of all jars."""
        return f"{self.artifact}-{self.version}.jar"


def kafka_jars(note: Callable[[str], None]) -> Path:
    """The folder with exactly the locked jars of the broker. Missing jars are downloaded."""
    version = kafka_version()
    return locked_jars(f"kafka-{version}", f"Apache Kafka {version}", lock_file(version), note)


def locked_jars(name: str, title: str, lock: Path, note: Callable[[str], None]) -> Path:
    """The folder with exactly the jars of a lock, in the cache under `name`. Missing jars are downloaded."""
    folder = jars_folder(name, lock)
    if folder.is_dir():  # it is complete, because it got its name after the last download
        return folder
    with creation_lock(folder):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=folder.parent) as work:
                _fetch_all(title, read_lock(lock.read_text()), Path(work), note)
                (Path(work) / "libs").rename(folder)
    return folder


def jars_folder(name: str, lock: Path) -> Path:
    """Where the jars of a lock are, or will be. A changed lock has another folder."""
    return cache_folder() / f"{name}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"


def lock_file(version: str) -> Path:
    """The lock of one version of Kafka."""
    return Path(__file__).with_name("kafka.lock" if version == KAFKA_VERSIONS[0] else f"kafka-{version}.lock")


def read_lock(text: str) -> list[Jar]:
    """Read lines of `group:artifact:version sha256`. A `#` starts a comment."""
    jars = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            coordinates, sha256 = line.split()
            group, artifact, version = coordinates.split(":")
            jars.append(Jar(group, artifact, version, sha256))
    return jars


def check_sha256(jar: Jar, path: Path) -> None:
    """Raise StackUnavailable unless `path` is the pinned file."""
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != jar.sha256:
        raise StackUnavailable(
            f"{jar.file_name} is not the pinned file (sha256 {found}, expected {jar.sha256}); "
            "nothing was installed. Check the Maven mirror, if you use one."
        )


def _fetch_all(title: str, jars: list[Jar], work: Path, note: Callable[[str], None]) -> None:
    libs = work / "libs"
    libs.mkdir()
    with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
        waiting = [pool.submit(_fetch, jar, work / "repository", libs) for jar in jars]
        try:
            for done, future in enumerate(as_completed(waiting), start=1):
                future.result()
                note(f"{title}: {done} of {len(jars)} jars")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _fetch(jar: Jar, repository: Path, libs: Path) -> None:
    for attempt in range(1, TRIES + 1):
        try:
            downloaded = _download(jar, repository)
            break
        except StackUnavailable:
            raise
        except Exception as error:
            # jgo raises the errors of its HTTP client, and RuntimeError for "not found".
            if attempt == TRIES:
                raise StackUnavailable(
                    f"cannot download {jar.group}:{jar.artifact}:{jar.version} ({error}). "
                    "Check the network. Set CAMPAIGNS_MAVEN_URL to use a mirror, and "
                    "REQUESTS_CA_BUNDLE for a certificate authority of your network."
                ) from error
            time.sleep(attempt)
    check_sha256(jar, downloaded)
    shutil.copyfile(downloaded, libs / jar.file_name)


def _download(jar: Jar, repository: Path) -> Path:
    context = _maven(repository)
    found: Path = context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
    return found


def _maven(repository: Path) -> Any:
    try:
        from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415 - a slow import, needed once per machine
        from jgo.maven import MavenContext  # noqa: PLC0415
    except ModuleNotFoundError:
        raise missing_package("jgo") from None

    return MavenContext(
        repo_cache=repository, local_repos=[], remote_repos={"central": maven_url() or MAVEN_CENTRAL_URL}
    )


def write_lock(lock: Path, head: str, roots: Collection[str], without: Collection[str] = ()) -> None:
    """Resolve what `roots` need, except the groups `without`, and write versions and checksums to a lock."""
    from jgo.parse import Coordinate  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as work:
        context = _maven(Path(work))
        # `raw` ignores the managed versions of the roots, which include an old kafka-clients.
        scoped = [replace(Coordinate.parse(root), scope="compile", raw=True) for root in roots]
        inputs, transitive = context.resolver.resolve([context.create_dependency(one) for one in scoped])
        lines = set()
        for dependency in [*inputs, *(d for d in transitive if d.scope in {"compile", "runtime"})]:
            artifact = dependency.artifact
            if artifact.groupId in without:
                continue
            digest = hashlib.sha256(artifact.resolve().read_bytes()).hexdigest()
            lines.add(f"{artifact.groupId}:{artifact.artifactId}:{artifact.version} {digest}\n")
            print(artifact, file=sys.stderr)
    fresh = lock.with_suffix(".new")
    fresh.write_text(f"# {head}\n" + "".join(sorted(lines)))
    fresh.replace(lock)


if __name__ == "__main__":
    write_lock(
        lock_file(kafka_version()),
        "The jars of the embedded broker. Written by `python -m stack.jars`; every download is checked against it.",
        (f"org.apache.kafka:kafka_2.13:{kafka_version()}", LOGGING),
    )
