"""Makes this project runnable for an account that cannot reach our folders.

Each command runs in a mount namespace, in which Python, packages and code are mounted in reachable folders. No mode is
changed, and no file is left. Only the cache is copied, because the account must own its cache.
"""

import os
import pwd
import shlex
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from stack.environment import cache_folder
from tests.support.paths import ROOT

# A namespace without a network has a loopback device, but it is down. 0x8914 = SIOCSIFFLAGS, 0x41 = up and running.
WITH_LOOPBACK = (
    sys.executable,
    "-c",
    (
        "import fcntl, os, socket, struct, sys; "
        "fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh14x', b'lo', 0x41)); "
        "os.execvp(sys.argv[1], sys.argv[1:])"
    ),
)


@dataclass(frozen=True)
class OrdinaryUser:
    """An account and its folder."""

    name: str
    folder: Path
    home: Path
    python: Path
    env: dict[str, str]
    mounts: tuple[tuple[Path, Path], ...]

    def run(self, *argv: str, network: bool = True, timeout_s: float = 240.0) -> subprocess.CompletedProcess[str]:
        """Run our Python as this account, in its own folder."""
        assigned = [f"{key}={value}" for key, value in self.env.items()]
        command = ["runuser", "-u", self.name, "--", "env", "-i", *assigned, str(self.python), *argv]
        steps = [shlex.join(["mount", "--bind", str(source), str(target)]) for source, target in self.mounts]
        return subprocess.run(
            [
                "unshare",
                "--mount",
                *([] if network else ["--net", *WITH_LOOPBACK]),
                "sh",
                "-c",
                " && ".join([*steps, "exec " + shlex.join(command)]),
            ],
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )


def make_ordinary_user(folder: Path, name: str = "nobody") -> OrdinaryUser:
    """Prepare `folder` for the account. Every account must be able to reach it."""
    account = pwd.getpwnam(name)
    base = Path(sys.base_prefix).resolve()
    mounts = (
        (base, folder / "python"),
        (Path(sysconfig.get_path("purelib")), folder / "site"),
        (ROOT, folder / "code"),
    )
    for _, target in mounts:
        target.mkdir(mode=0o755)
    home = folder / "home"
    cache = home / ".cache" / "campaign-streams"
    for jars in cache_folder().glob("kafka-*"):
        if jars.is_dir():
            shutil.copytree(jars, cache / jars.name)
    for classes in cache_folder().glob("kafka-*.aot"):
        shutil.copy2(classes, cache / classes.name)
    home.chmod(0o700)
    for path in (home, *home.rglob("*")):
        os.chown(path, account.pw_uid, account.pw_gid)
    env = {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "PYTHONHOME": str(folder / "python"),
        "LD_LIBRARY_PATH": str(folder / "python" / "lib"),  # a Python built as a shared library
        "PYTHONPATH": f"{folder / 'code'}:{folder / 'site'}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    python = folder / "python" / Path(sys.executable).resolve().relative_to(base)
    return OrdinaryUser(name, folder, home, python, env, mounts)
