"""Keeps the log files of a folder small: a file above the limit is copied aside and emptied.

A child writes to its log by a descriptor in append mode, which the guard has opened. It has no way to open another
file, so the file stays and its content moves to `NAME.log.1`, an older one to `NAME.log.2`.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

BYTES_MAX = 8 * 1024 * 1024
KEPT = 2
"""Older files of each log."""
CHECK_EVERY_S = 5.0
_CHUNK = 1024 * 1024


def rotate(log: Path, kept: int = KEPT) -> None:
    """Move the content of a log into its newest older file. A line that is written at that very moment may be lost."""
    for number in range(kept - 1, 0, -1):
        with suppress(FileNotFoundError):
            _older(log, number).replace(_older(log, number + 1))
    fresh = log.with_name(f"{log.name}.new")
    fresh.touch(mode=0o600)
    with log.open("rb+") as source, fresh.open("wb") as copy:
        while chunk := source.read(_CHUNK):
            copy.write(chunk)
        source.truncate(0)
    fresh.replace(_older(log, 1))


def rotate_large(folder: Path, bytes_max: int = BYTES_MAX) -> None:
    """Rotate every log of the folder that is above the limit."""
    for log in folder.glob("*.log"):
        with suppress(OSError):  # the disk is full or the file is gone: the children run on
            if log.stat().st_size > bytes_max:
                rotate(log)


def _older(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}")


class LogRotation:
    """Checks the logs of a folder every few seconds, in a thread, until the end of its block."""

    def __init__(self, folder: Path, bytes_max: int = BYTES_MAX, check_every_s: float = CHECK_EVERY_S) -> None:
        self._folder = folder
        self._bytes_max = bytes_max
        self._check_every_s = check_every_s
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-rotation", daemon=True)

    def _run(self) -> None:
        rotate_large(self._folder, self._bytes_max)
        while not self._ending.wait(self._check_every_s):
            rotate_large(self._folder, self._bytes_max)

    def __enter__(self) -> Self:
        """Begin to check."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop checking."""
        self._ending.set()
        self._thread.join()
