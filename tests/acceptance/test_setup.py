"""`make` and the setup on other machines: without a network, without root, without the venv module."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from stack.embedded import prepare
from tests.acceptance.ordinary_user import WITH_LOOPBACK, OrdinaryUser, make_ordinary_user
from tests.support.paths import PROGRAMS, ROOT

DEMO = ("-m", "cli", "demo", "--recipients", "60", "--json")
PARENT = PROGRAMS / "stack_parent.py"


def needs_root(*command: str) -> pytest.MarkDecorator:
    """Skip the test unless we are root and the container allows this command."""
    able = os.geteuid() == 0 and shutil.which(command[0]) is not None
    able = able and subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
    return pytest.mark.skipif(not able, reason=f"needs root and {' '.join(command)}")


WITHOUT_NETWORK = needs_root("unshare", "--net")
AS_ORDINARY_USER = needs_root("unshare", "--mount", "runuser", "-u", "nobody", "--")


def without_network(*argv: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    # Otherwise the inner make would treat a make that runs these tests as its parent.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["unshare", "--net", *WITH_LOOPBACK, *argv],
        cwd=ROOT,
        env=inherited | (env or {}),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture(scope="module")
def prepared() -> None:
    """The work of `make setup`, also if the tests were started in another way."""
    prepare(lambda line: print(line, file=sys.stderr))


@pytest.fixture(scope="module")
def ordinary_user(prepared: None) -> Iterator[OrdinaryUser]:
    folder = Path(tempfile.mkdtemp(prefix="campaigns-user-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        yield make_ordinary_user(folder)
    finally:
        shutil.rmtree(folder)


def test_make_without_a_target_prints_help() -> None:
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("setup", "demo", "up", "test", "test-all", "check", "format"):
        assert f"\n  {target} " in shown


@pytest.mark.root
@WITHOUT_NETWORK
def test_a_second_setup_needs_no_network() -> None:
    if not (ROOT / ".venv" / "complete-requirements-dev.txt").exists():
        pytest.skip("this environment was not made by make setup")
    done = without_network("/usr/bin/env", "make", "setup-dev", env={"PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}"})
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.root
@WITHOUT_NETWORK
def test_the_stack_starts_without_a_network(prepared: None) -> None:
    done = without_network(sys.executable, str(PARENT), "throw-away", "return")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["kafka"].startswith("127.0.0.1:")


@pytest.mark.root
@AS_ORDINARY_USER
def test_an_ordinary_user_runs_the_servers_under_the_same_account(ordinary_user: OrdinaryUser) -> None:
    code = ordinary_user.folder / "code" / PARENT.relative_to(ROOT)
    done = ordinary_user.run(str(code), "throw-away", "return")
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["accounts"]) == {ordinary_user.home.stat().st_uid}


@pytest.mark.slow
@pytest.mark.root
@WITHOUT_NETWORK
@AS_ORDINARY_USER
def test_the_demo_is_exact_for_an_ordinary_user_without_a_network(ordinary_user: OrdinaryUser) -> None:
    done = ordinary_user.run(*DEMO, network=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert json.loads(done.stdout.splitlines()[-1])["verdict"] == "exact"


@pytest.mark.root
@AS_ORDINARY_USER
def test_an_unwritable_home_is_reported(ordinary_user: OrdinaryUser) -> None:
    lost = replace(ordinary_user, env=ordinary_user.env | {"HOME": "/nonexistent"})
    done = lost.run("-m", "stack.prepare")
    assert done.returncode == 1
    assert "CAMPAIGNS_CACHE_DIR" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def setup_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("setup_script", ROOT / "scripts" / "setup.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("version", [(3, 10, 4), (3, 15, 0)])
def test_an_unsupported_python_version_is_reported(
    setup_script: ModuleType, monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int]
) -> None:
    monkeypatch.setattr(setup_script.sys, "version_info", version)
    with pytest.raises(SystemExit, match=r"Python 3\.11 to 3\.14 is needed"):
        setup_script.check_python()


def test_a_missing_venv_module_names_its_package(setup_script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(SystemExit, match=r"apt install python3\.\d+-venv"):
        setup_script.check_machine()


@pytest.mark.parametrize("libc", [("", ""), ("glibc", "2.17")])
def test_an_unsupported_c_library_is_named(
    setup_script: ModuleType, monkeypatch: pytest.MonkeyPatch, libc: tuple[str, str]
) -> None:
    monkeypatch.setattr(setup_script.platform, "system", lambda: "Linux")
    monkeypatch.setattr(setup_script.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(setup_script.platform, "libc_ver", lambda: libc)
    with pytest.raises(SystemExit, match=r"glibc 2\.28 or newer is needed"):
        setup_script.check_machine()


def test_a_full_disk_is_reported_before_the_first_write(
    setup_script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup_script.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(SystemExit, match=r"MB of free space are needed"):
        setup_script.check_machine()


def test_the_pinned_requirements_name_no_host() -> None:
    for name in ("requirements.txt", "requirements-embedded.txt", "requirements-dev.txt", "stack/kafka.lock"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        assert "--index-url" not in text
