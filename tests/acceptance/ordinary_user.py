"""Makes this project runnable for an account that can reach none of our folders.

Python, packages, code and cache are linked (or copied) into one folder that everyone can pass through. The files
themselves are never changed.
"""

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from stack.places import cache_folder, is_reachable_by_anyone

ROOT = Path(__file__).parents[2]
CODE = ("api", "cli", "domain", "producers", "runtime", "schemas", "simulator", "sinks", "stack", "streams", "tests")


@dataclass(frozen=True)
class OrdinaryUser:
    """An account, and where it finds everything."""

    name: str
    home: Path
    python: Path
    env: dict[str, str]

    def run(self, *argv: str, timeout_s: float = 180.0) -> subprocess.CompletedProcess[str]:
        """Run our Python as this account, in its own folder."""
        assigned = [f"{key}={value}" for key, value in self.env.items()]
        return subprocess.run(
            ["runuser", "-u", self.name, "--", "env", "-i", *assigned, str(self.python), *argv],
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )


def make_ordinary_user(folder: Path, name: str = "nobody") -> OrdinaryUser:
    """Lay everything out in `folder`, which must be within reach of everyone."""
    account = pwd.getpwnam(name)
    env = {"PATH": os.defpath, "LANG": "C.UTF-8"}
    python = Path(sys.executable).resolve()
    if not is_reachable_by_anyone(python.parent):
        _link(Path(sys.base_prefix), folder / "python")
        env["PYTHONHOME"] = str(folder / "python")
        env["LD_LIBRARY_PATH"] = str(folder / "python" / "lib")  # a Python built as a shared library
        python = folder / "python" / python.relative_to(Path(sys.base_prefix).resolve())
    site = Path(sysconfig.get_path("purelib"))
    _link(site, folder / "site")
    code = folder / "code"
    code.mkdir()
    for package in CODE:
        shutil.copytree(ROOT / package, code / package, ignore=shutil.ignore_patterns("__pycache__"))
    home = folder / "home"
    cache = home / ".cache" / "campaign-streams"
    for jars in cache_folder().glob("kafka-*"):
        if jars.is_dir():
            shutil.copytree(jars, cache / jars.name)
    home.chmod(0o700)
    for path in (home, *home.rglob("*")):
        os.chown(path, account.pw_uid, account.pw_gid)
    env |= {"HOME": str(home), "PYTHONPATH": f"{code}:{folder / 'site'}", "PYTHONDONTWRITEBYTECODE": "1"}
    return OrdinaryUser(name, home, python, env)


def _link(source: Path, target: Path) -> None:
    """Copy a tree by hard links where both lie on one file system: a second instead of a minute."""
    linked = subprocess.run(["cp", "-al", str(source), str(target)], capture_output=True, check=False)
    if linked.returncode != 0:
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target, symlinks=True)
    target.chmod(0o755)
