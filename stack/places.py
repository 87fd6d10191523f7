"""Where the embedded stack keeps what it downloads and what it runs on, and who can reach it.

These few variables (`CAMPAIGNS_CACHE_DIR`, `CAMPAIGNS_MAVEN_URL`, `CAMPAIGNS_EMBEDDED_POSTGRES`, `XDG_CACHE_HOME`)
are read here and not with the other settings, because `make setup` needs them before any setting exists.
Never changes the mode or the owner of a folder that it did not make itself.
"""

import fcntl
import os
import pwd
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = "campaign-streams"
# PostgreSQL refuses to run as root, so root hands it to the account that owns nothing.
UNPRIVILEGED_USER = "nobody"


class StackUnavailable(Exception):
    """The embedded stack cannot run here; the message says why and what to do."""


def cache_folder() -> Path:
    """Return the folder for downloads, made if need be."""
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
    """Return the folders in which a child looks for programs."""
    return os.environ.get("PATH", os.defpath)


def maven_url() -> str | None:
    """Return the Maven mirror asked for, or None for Maven Central."""
    return os.environ.get("CAMPAIGNS_MAVEN_URL") or None


def postgres_version() -> int:
    """Return the major version of the embedded PostgreSQL: 18, or 16 where asked for."""
    asked = os.environ.get("CAMPAIGNS_EMBEDDED_POSTGRES", "18")
    if asked not in {"16", "18"}:
        raise StackUnavailable(f"CAMPAIGNS_EMBEDDED_POSTGRES is {asked!r}: the embedded versions are 16 and 18")
    return int(asked)


@contextmanager
def exclusively(making: Path) -> Iterator[None]:
    """Keep other processes from making the folder `making`; the lock falls with its holder, however that ends."""
    with making.with_name(f"{making.name}.lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def unprivileged_account() -> pwd.struct_passwd | None:
    """Return the account that PostgreSQL must run under, or None where our own will do."""
    return pwd.getpwnam(UNPRIVILEGED_USER) if os.geteuid() == 0 else None


def is_reachable_by_anyone(folder: Path) -> bool:
    """Tell whether an account without any rights can pass through `folder` and all that is above it."""
    real = folder.resolve()
    return all(step.stat().st_mode & stat.S_IXOTH for step in (real, *real.parents))


def throw_away_root(*, for_unprivileged: bool) -> Path:
    """Return a folder in which a throw-away folder may be made."""
    usual = Path(tempfile.gettempdir())
    if not for_unprivileged or is_reachable_by_anyone(usual):
        return usual
    for candidate in (Path("/var/tmp"), Path("/tmp")):  # noqa: S108 - only mkdtemp makes names there
        if candidate.is_dir() and is_reachable_by_anyone(candidate):
            return candidate
    return shared_folder("lib")


def shared_folder(kind: str) -> Path:
    """Return a folder of ours (`cache` or `lib`) below /var that every account can pass through; root only."""
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
                folder.chmod(0o755)  # ours, made under a narrow umask
            if is_reachable_by_anyone(folder):
                return folder
        refused.append(f"{folder}: not a folder of root's that others can pass through but not write to")
    raise StackUnavailable(
        f"no folder that the account {UNPRIVILEGED_USER!r} can reach ({'; '.join(refused)}): run as an ordinary user"
    )
