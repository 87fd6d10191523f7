"""The environments of the peers. A peer never shares a package with the product.

`bench/peers/NAME.txt` pins the Python packages of one; `make lock` writes it from `NAME.in`. It is installed under
`.peers/`, because tools that read the code of the project must not read that of the peers. A peer in Java has the locks
`bench/peers/NAME-PART.lock`, which `python -m bench.peer_jars` writes; its environment has links to the folders of its
jars in the cache of downloads.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from stack.jars import jars_folder, locked_jars, read_lock

LOCKS = Path(__file__).parent / "peers"
FOLDER = Path(__file__).parents[1] / ".peers"


def python_of(name: str) -> Path:
    """The interpreter of an environment."""
    return FOLDER / name / "bin" / "python"


def jars_of(name: str, part: str) -> Path:
    """The folder with the jars of one part of a peer in Java."""
    return FOLDER / name / part


def is_installed(name: str) -> bool:
    """Whether the environment is complete and has the pinned packages."""
    if locks := _jar_locks(name):
        return all(_is_linked(_jar_link(name, lock), lock) for lock in locks)
    stamp = _stamp(name)
    return python_of(name).exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == _fingerprint(name)


def install(name: str) -> None:
    """Create the environment, unless it is complete.

    Raises CalledProcessError if a package cannot be installed, and StackUnavailable if a jar cannot be.
    """
    if is_installed(name):
        return
    print(f"installing the packages of {name}", file=sys.stderr, flush=True)
    if locks := _jar_locks(name):
        _link_jars(name, locks)
    else:
        _install_python(name)


def _link_jars(name: str, locks: list[Path]) -> None:
    for lock in locks:
        jars = locked_jars(lock.stem, lock.stem, lock, lambda _line: None)
        link = _jar_link(name, lock)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(jars)


def _install_python(name: str) -> None:
    FOLDER.mkdir(exist_ok=True)
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, FOLDER / name], check=True)
    pinned = ["--require-hashes", "--requirements", str(LOCKS / f"{name}.txt")]
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python_of(name), *pinned], check=True)
    _stamp(name).write_text(_fingerprint(name), encoding="utf-8")


def versions(name: str) -> dict[str, str]:
    """The pinned version of each package that `NAME.in` lists, or of the jars whose versions decide the speed."""
    if locks := _jar_locks(name):
        jars = [jar for lock in locks for jar in read_lock(lock.read_text(encoding="utf-8"))]
        return {jar.artifact: jar.version for jar in jars if jar.artifact in NAMED_JARS}
    wanted = {
        line.split("=")[0].split("[")[0].strip()
        for line in (LOCKS / f"{name}.in").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    }
    pinned = (LOCKS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split(" ")[0].partition("==") for line in pinned if "==" in line and not line.startswith(" "))
    return {package: version for package, _, version in pairs if package in wanted}


NAMED_JARS = frozenset({"connect-runtime", "debezium-connector-jdbc", "postgresql", "hibernate-core"})


def _jar_locks(name: str) -> list[Path]:
    return sorted(LOCKS.glob(f"{name}-*.lock"))


def _is_linked(link: Path, lock: Path) -> bool:
    return link.is_dir() and link.resolve().name == jars_folder(lock.stem, lock).name


def _jar_link(name: str, lock: Path) -> Path:
    return jars_of(name, lock.stem.removeprefix(f"{name}-"))


def _stamp(name: str) -> Path:
    return FOLDER / name / "complete"


def _fingerprint(name: str) -> str:
    pinned = (LOCKS / f"{name}.txt").read_bytes()
    return hashlib.sha256(pinned + repr(sys.version_info[:2]).encode()).hexdigest()
