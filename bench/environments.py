"""The Python environments of the peers, under `bench/peers/`. A peer never shares a package with the product.

`bench/peers/NAME.txt` pins the packages of one; `make lock` writes it from `NAME.in`.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "peers"


def python_of(name: str) -> Path:
    """The interpreter of an environment."""
    return FOLDER / name / "bin" / "python"


def is_installed(name: str) -> bool:
    """Whether the environment is complete and has the pinned packages."""
    stamp = _stamp(name)
    return python_of(name).exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == _fingerprint(name)


def install(name: str) -> None:
    """Create the environment, unless it is complete. Raises CalledProcessError if a package cannot be installed."""
    if is_installed(name):
        return
    uv = str(Path(sys.executable).with_name("uv"))
    print(f"installing the packages of {name} under bench/peers/", file=sys.stderr, flush=True)
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, FOLDER / name], check=True)
    pinned = ["--require-hashes", "--requirements", str(FOLDER / f"{name}.txt")]
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python_of(name), *pinned], check=True)
    _stamp(name).write_text(_fingerprint(name), encoding="utf-8")


def versions(name: str) -> dict[str, str]:
    """The pinned version of each package that `NAME.in` lists."""
    wanted = {
        line.split("=")[0].split("[")[0].strip()
        for line in (FOLDER / f"{name}.in").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    }
    pinned = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split(" ")[0].partition("==") for line in pinned if "==" in line and not line.startswith(" "))
    return {package: version for package, _, version in pairs if package in wanted}


def _stamp(name: str) -> Path:
    return FOLDER / name / "complete"


def _fingerprint(name: str) -> str:
    pinned = (FOLDER / f"{name}.txt").read_bytes()
    return hashlib.sha256(pinned + repr(sys.version_info[:2]).encode()).hexdigest()
