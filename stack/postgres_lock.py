"""The lock file of a PostgreSQL data folder, `postmaster.pid`, and what to do about one that was left behind.

PostgreSQL itself removes a lock whose process is gone. It refuses to start if a process with that number exists, and
after a crash of the machine or in a new container that may be any program; it also refuses an empty file, which a full
disk leaves. A data folder must not be unusable for such a reason, and two servers must never use it at once.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from stack.environment import StackUnavailable

PROC = Path("/proc")
FILE = "postmaster.pid"


def remove_stale_lock(data: Path) -> None:
    """Remove a lock that names a program which is no server of this folder. A lock of a dead process is left alone.

    Raises StackUnavailable if a process works in the folder.
    """
    lock = data / FILE
    try:
        first = lock.read_text(errors="replace").partition("\n")[0].strip()
    except FileNotFoundError:
        return
    pid = int(first) if first.isascii() and first.isdigit() else None
    if pid is not None and not _exists(pid):
        return
    users = processes_in(data, pid)
    if users:
        raise StackUnavailable(f"process {users[0]} still uses the database in {data}: end it, then start again")
    lock.unlink(missing_ok=True)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def processes_in(data: Path, named: int | None = None) -> list[int]:
    """The processes whose working directory is `data`: every process of a server has it there.

    Without /proc, only the process `named` is judged, by its command line.
    """
    if not PROC.is_dir():
        return [named] if named is not None and _is_server(named, data) else []
    real = data.resolve()
    found = []
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cwd").readlink() == real:
                    found.append(int(entry.name))
            except OSError:  # it has ended, or it belongs to another account, which cannot be our server's
                continue
    return found


def _is_server(pid: int, data: Path) -> bool:
    """Whether the command line of a process names the data folder, for systems without /proc."""
    command = ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)]
    shown = subprocess.run(command, capture_output=True, check=False)
    return os.fsencode(data) in shown.stdout
