"""A Maven mirror named by `CAMPAIGNS_MAVEN_URL` serves the whole broker, and each jar is downloaded once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stack.environment import kafka_version
from stack.jars import Jar, kafka_jars, lock_file, read_lock
from tests.support.http_servers import QuietHandler, serving


@contextmanager
def maven_mirror(jars: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve a folder of jars in the layout of a Maven repository. Yields the address and the requested paths."""
    requested: list[str] = []

    class Repository(QuietHandler):
        def do_GET(self) -> None:  # noqa: N802 - the name of the library
            requested.append(self.path)
            group, artifact, version, name = self.path.strip("/").rsplit("/", 3)
            known = [
                jar
                for jar in read_lock(lock_file(kafka_version()).read_text())
                if _path(jar) == (group, artifact, version)
            ]
            found = bool(known) and name == known[0].file_name
            self.send_response(200 if found else 404)
            body = (jars / name).read_bytes() if found else b""
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with serving(Repository) as url:
        yield url, requested


def _path(jar: Jar) -> tuple[str, str, str]:
    return jar.group.replace(".", "/"), jar.artifact, jar.version


def test_a_mirror_serves_the_whole_broker_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = kafka_jars(lambda _: None)
    progress: list[str] = []
    with maven_mirror(genuine) as (url, requested):
        monkeypatch.setenv("CAMPAIGNS_MAVEN_URL", url)
        monkeypatch.setenv("CAMPAIGNS_CACHE_DIR", str(tmp_path))
        fetched = kafka_jars(progress.append)
        assert fetched.parent == tmp_path
        assert {path.name for path in fetched.iterdir()} == {path.name for path in genuine.iterdir()}
        assert len(requested) >= len(progress) == len(list(genuine.iterdir()))
        first = len(requested)
        assert kafka_jars(progress.append) == fetched
        assert len(requested) == first
