"""Small file systems in memory that can be filled, in place of the disks of the servers. Only root can mount them.

A guarded process mounts each one and unmounts it when it ends. So a mount does not outlive the tests, even after
`kill -9`.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from stack.guarded import GuardedProcess, Program
from tests.support.waiting import eventually

SIZE_MB = 640
LEFT_BYTES = 64 * 1024
CHUNK = bytes(1024 * 1024)
STOP_DEADLINE_S = 10.0
MOUNTED = """
mount -t tmpfs -o "size=$2" campaigns-cluster "$1" || exit 1
trap 'umount -l "$1"; exit 0' TERM INT
: > "$1/mounted"
while :; do sleep 3600 & wait $!; done
"""


class Disk:
    """One file system. Without root it is an ordinary folder, which cannot be filled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mounting: GuardedProcess | None = None
        folder.mkdir(parents=True)
        if can_mount():
            program = Program(
                ["/bin/sh", "-c", MOUNTED, "sh", str(folder), f"{SIZE_MB}m"],
                folder.with_suffix(".log"),
                env={"PATH": os.environ.get("PATH", os.defpath)},
                stop_deadline_s=STOP_DEADLINE_S,
            )
            self._mounting = GuardedProcess(program)
            eventually((folder / "mounted").exists, f"{folder} is mounted")
        folder.chmod(0o711)  # the account of Postgres passes through it

    def fill(self) -> None:
        """Fill the file system to the last byte."""
        assert self._mounting is not None, "only root can fill a disk"
        with (self.folder / "ballast").open("wb", buffering=0) as ballast:
            try:
                while ballast.write(CHUNK):
                    pass
            except OSError:
                return

    def empty(self) -> None:
        """Give the room back."""
        (self.folder / "ballast").unlink(missing_ok=True)

    def free_bytes(self) -> int:
        """The room that is left."""
        return shutil.disk_usage(self.folder).free

    def close(self) -> None:
        """Unmount the file system. The servers on it must have ended."""
        if self._mounting is not None:
            self._mounting.stop()


def can_mount() -> bool:
    """Whether this account may mount file systems."""
    return sys.platform == "linux" and os.geteuid() == 0
