"""The two installations that are compared: this code, and an earlier commit of it in an environment of its own."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.children import ROOT
from bench.environments import FOLDER, python_of

COMMIT = "5b41882"
EARLIER = "earlier"
"""The environment of the earlier commit. `bench/peers/earlier.in` has its requirements."""


class NoHistory(RuntimeError):
    """The repository does not have the earlier commit."""


@dataclass(frozen=True, slots=True)
class Side:
    """One installation: where its code is, and which Python runs it."""

    root: Path
    python: Path
    has_canary: bool
    """Whether a campaign sends to a few people first. It is turned off, because the canary waits for minutes."""


def present() -> Side:
    """This code."""
    return Side(ROOT, Path(sys.executable), has_canary=True)


def is_in_history() -> bool:
    """Whether the earlier commit can be unpacked. A shallow clone does not have it."""
    return _git("cat-file", "-e", f"{COMMIT}^{{commit}}").returncode == 0


def earlier() -> Side:
    """The earlier commit, unpacked into a folder below that of the peers. Raises NoHistory."""
    root = FOLDER / f"{EARLIER}-{COMMIT}"
    if not (root / "cli").is_dir():
        packed = _git("archive", COMMIT)
        if packed.returncode:
            raise NoHistory(f"commit {COMMIT} is not in this repository, so it cannot be compared")
        root.mkdir(parents=True, exist_ok=True)
        subprocess.run(["tar", "--extract"], cwd=root, input=packed.stdout, check=True)  # noqa: S607
    return Side(root, python_of(EARLIER), has_canary=False)


def _git(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=False)  # noqa: S607 - any git will do
