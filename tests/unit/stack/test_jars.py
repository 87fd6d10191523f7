"""The lock of the broker's jars pins every jar, and a different jar is refused."""

import hashlib
from pathlib import Path

import pytest

from stack.environment import KAFKA_VERSIONS, StackUnavailable
from stack.jars import Jar, check_sha256, kafka_jars, lock_file, read_lock


@pytest.mark.parametrize("version", KAFKA_VERSIONS)
def test_a_lock_pins_one_version_of_every_kafka_jar(version: str) -> None:
    jars = read_lock(lock_file(version).read_text())
    assert {jar.version for jar in jars if jar.group == "org.apache.kafka"} == {version}
    assert len({(jar.group, jar.artifact) for jar in jars}) == len(jars)
    assert all(len(jar.sha256) == 64 for jar in jars)


def test_a_jar_that_differs_from_the_lock_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "some.jar"
    path.write_bytes(b"the pinned file")
    jar = Jar("org.example", "some", "1", hashlib.sha256(b"the pinned file").hexdigest())
    check_sha256(jar, path)
    path.write_bytes(b"another file")
    with pytest.raises(StackUnavailable, match="not the pinned file"):
        check_sha256(jar, path)


def test_nothing_is_installed_from_a_mirror_with_different_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[Jar] = []

    def serve(jar: Jar, repository: Path) -> Path:
        repository.mkdir(exist_ok=True)
        served.append(jar)
        path = repository / jar.file_name
        path.write_bytes(b"something else")
        return path

    monkeypatch.setenv("CAMPAIGNS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("stack.jars._download", serve)
    with pytest.raises(StackUnavailable, match="not the pinned file"):
        kafka_jars(lambda _: None)
    assert served
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]
