"""Creates `.venv` with all dependencies. All downloads happen here.

    python3 scripts/setup.py            the dependencies for running
    python3 scripts/setup.py --dev      also the dependencies for testing

A second run compares one hash and ends at once, without a network. The script uses only the standard library and old
syntax, so that an old Python can report that it is too old.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
VENV_PYTHON = os.path.join(VENV, "bin", "python")
OLDEST, NEWEST = (3, 11), (3, 14)
GLIBC = (2, 28)  # the binary packages need it
MACHINES = {"Linux": ("x86_64", "aarch64"), "Darwin": ("x86_64", "arm64")}
SPACE_MB = 1500  # measured: 650 MB of packages, 90 MB in the cache, and as much again while unpacking


def main():
    """Set up, unless everything is done already."""
    dev = "--dev" in sys.argv[1:]
    check_python()
    os.chdir(ROOT)
    requirements = "requirements-dev.txt" if dev else "requirements-embedded.txt"
    wanted = fingerprint(requirements)
    # The development environment includes everything for running, so its stamp serves for both.
    stamps = {"requirements-dev.txt": fingerprint("requirements-dev.txt"), requirements: wanted}
    if any(read(stamp_of(name)) == value for name, value in stamps.items()):
        return
    check_machine()
    with only_one():
        if read(stamp_of(requirements)) != wanted:
            install(requirements)
            write(stamp_of(requirements), wanted)


def check_python():
    """Stop with a message if the project does not support this Python."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        fail(
            "Python %d.%d to %d.%d is needed; this is %s.\n" % (OLDEST + NEWEST + (platform.python_version(),))
            + "Install one (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python@3.13)\n"
            + "and name it if it is not found automatically: make PYTHON=python3.13"
        )


def check_machine():
    """Stop with a message if the system lacks something that no package provides."""
    system, machine = platform.system(), platform.machine()
    if machine not in MACHINES.get(system, ()):
        fail(
            "The embedded Kafka and Postgres are built for Linux (x86-64, arm64) and macOS, not for "
            "%s %s. Use docker compose up instead." % (system, machine)
        )
    if system == "Linux":
        name, version = platform.libc_ver()
        numbers = tuple(int(part) for part in version.split(".")[:2]) if version else ()
        if name != "glibc" or numbers < GLIBC:
            fail(
                "glibc %d.%d or newer is needed; this system has %s.\n"
                % (GLIBC + ((name + " " + version).strip() or "another C library",))
                + "Use a newer system, one with glibc (Debian, Ubuntu, Fedora; not Alpine), or docker compose up."
            )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        package = "python%d.%d-venv" % sys.version_info[:2]
        fail("This Python has no venv module. Install it (Debian, Ubuntu: apt install %s)." % package)
    free_mb = shutil.disk_usage(ROOT).free // 1024**2
    if free_mb < SPACE_MB:
        fail("%d MB of free space are needed in %s; there are %d." % (SPACE_MB, ROOT, free_mb))


def install(requirements):
    """Create the environment and install everything."""
    if not works(VENV_PYTHON):
        say("creating .venv with Python %s" % platform.python_version())
        run([sys.executable, "-m", "venv", "--clear", VENV])
    say("installing the packages pinned in %s" % requirements)
    pip = [VENV_PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--require-virtualenv"]
    run(pip + ["--require-hashes", "--no-deps", "-r", requirements])
    run(
        pip
        + ["--no-deps", "--no-build-isolation", "--no-index", "--config-settings", "editable_mode=compat", "-e", "."]
    )
    say("fetching the jars of Apache Kafka, preparing both servers")
    run([VENV_PYTHON, "-m", "stack.prepare"])
    say("ready: the command line is .venv/bin/campaigns")


def works(python):
    """Return whether an existing environment still runs. Its folder may have been moved."""
    if not os.path.exists(python):
        return False
    same = "import sys; sys.exit(sys.prefix != %r or sys.version_info[:2] != %r)" % (VENV, sys.version_info[:2])
    return subprocess.call([python, "-c", same], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0


def fingerprint(requirements):
    """Return a hash of everything that decides the content of the environment."""
    digest = hashlib.sha256()
    for name in (requirements, "pyproject.toml", "stack/kafka.lock", "scripts/setup.py"):
        digest.update(read(name).encode())
    digest.update(repr((sys.version_info[:2], VENV)).encode())
    return digest.hexdigest()


def stamp_of(requirements):
    """Return the file with the hash for which the environment is complete."""
    return os.path.join(VENV, "complete-" + requirements)


def read(path):
    """Return the text of a file, or an empty text if there is none."""
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def write(path, text):
    """Write a file completely or not at all."""
    with open(path + ".new", "w") as file:
        file.write(text)
    os.replace(path + ".new", path)


class only_one:  # noqa: N801 - a context manager with the name of its effect
    """Locks this folder against other set-ups. The lock ends with the process."""

    def __enter__(self):
        """Wait for a set-up that is running."""
        import fcntl

        self.held = open(os.path.join(ROOT, "scripts", "setup.py"))
        fcntl.flock(self.held, fcntl.LOCK_EX)

    def __exit__(self, *_):
        """Release the lock."""
        self.held.close()


def run(argv):
    """Run a step. If it fails, its own output has the reason."""
    code = subprocess.call(argv)
    if code != 0:
        fail("this step failed (exit code %d): %s" % (code, " ".join(argv)))


def say(line):
    """Print a step."""
    sys.stderr.write("setup: %s\n" % line)


def fail(message):
    """Stop with a message."""
    sys.exit("setup: " + message.replace("\n", "\nsetup: "))


if __name__ == "__main__":
    main()
