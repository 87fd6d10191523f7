"""Each import contract and each banned call is broken on a copy of the packages, and the check reports it.

One copy contains all the offences, so that one run of each tool tests all the rules.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT

BIN = Path(sys.executable).parent
OFFENCE = "offence"
"""The module that is added to each package of the broken copy."""

LAYERS = (
    ("bench",),
    ("cli",),
    ("operations",),
    ("api", "producers", "streams", "stack", "simulator", "verdict"),
    ("sinks",),
    ("tables", "topics"),
    ("runtime",),
    ("domain",),
    ("schemas",),
)
"""Repeated on purpose: a layer that moves in pyproject.toml must be moved here as well."""

PACKAGES = tuple(package for layer in LAYERS for package in layer)
PURE = ("domain", "schemas")
INDEPENDENT = ("simulator", "stack", "verdict")
IMPURE = (
    "aiohttp", "aiokafka", "asyncio", "confluent_kafka", "faust", "httpx", "io", "logging", "multiprocessing", "os",
    "pathlib", "prometheus_client", "psycopg", "psycopg_pool", "random", "secrets", "shutil", "socket", "sqlite3",
    "structlog", "subprocess", "sys", "tempfile", "threading", "time",
)  # fmt: skip

Pair = tuple[str, str]


def upward_and_sideways() -> set[Pair]:
    """Every import that the layers forbid, as (importer, imported)."""
    pairs = {pair for layer in LAYERS for pair in permutations(layer, 2)}
    for above, layer in enumerate(LAYERS):
        pairs |= {(low, high) for low in layer for upper in LAYERS[:above] for high in upper}
    return pairs


OFFENCES: Mapping[str, set[Pair]] = {
    "Imports go one way, and packages of one layer do not import each other": upward_and_sideways(),
    "domain and schemas are pure: no I/O, clock, randomness, environment or logging": {
        (package, module) for package in PURE for module in IMPURE
    },
    "The judge, the simulator and the embedded servers share no code with the pipeline": {
        (package, other) for package in INDEPENDENT for other in PACKAGES if other not in INDEPENDENT
    },
    "The judge, the simulator and the embedded servers share no code with each other": set(
        permutations(INDEPENDENT, 2)
    ),
    "tables and topics do not import each other": {("tables", "topics"), ("topics", "tables")},
    "Only topics uses confluent_kafka": {
        (package, "confluent_kafka") for package in PACKAGES if package not in ("bench", "stack", "topics")
    },
    "Only runtime uses OpenTelemetry": {(package, "opentelemetry") for package in PACKAGES if package != "runtime"},
    "Only streams uses Faust and aiokafka": {
        (package, module)
        for package in PACKAGES
        if package not in ("bench", "streams")
        for module in ("aiokafka", "faust")
    },
}
"""By contract, each import that it must refuse."""

ENVIRONMENT = {"os.environ": "import os\nos.environ\n", "os.getenv": "from os import getenv\ngetenv('HOME')\n"}
CLOCKS_AND_CHANCE = {
    "datetime.datetime.now": "from datetime import datetime\ndatetime.now()\n",
    "datetime.datetime.today": "from datetime import datetime\ndatetime.today()\n",
    "datetime.datetime.utcnow": "from datetime import datetime\ndatetime.utcnow()\n",
    "datetime.date.today": "from datetime import date\ndate.today()\n",
    "time.time": "import time\ntime.time()\n",
    "time.monotonic": "from time import monotonic\nmonotonic()\n",
    "uuid.uuid1": "from uuid import uuid1\nuuid1()\n",
    "uuid.uuid4": "import uuid\nuuid.uuid4()\n",
    "random": "import random\nrandom.random()\n",
    "secrets": "from secrets import token_hex\ntoken_hex()\n",
}
"""For each banned name, code that uses it."""

SQL = re.compile(
    r"\s*(SELECT|INSERT INTO|UPDATE \w+|DELETE FROM|(CREATE|DROP|ALTER) [A-Z]+|WITH \w+ AS|SET \w+ (TO|=)|TRUNCATE)\s"
)
WITH_SQL = {"bench", "tables", "verdict", "stack"}
"""Packages that may hold statements; `stack` sets up the embedded server, and `bench` has those of the peers."""

SQL_ELSEWHERE = {
    "operations/status_lines.py",
}
"""Files that show a statement to an operator and do not run it."""

READERS_OF_THE_ENVIRONMENT = {"runtime/settings.py", "stack/environment.py"}


def tool_settings() -> dict[str, Any]:
    settings: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    return settings


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages and of the configuration."""
    return copy_to(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy in which every package has a module with all the offences that concern it."""
    folder = copy_to(tmp_path_factory.mktemp("broken"))
    for package in PACKAGES:
        pairs = set().union(*OFFENCES.values())
        imports = [f"import {imported}\n" for importer, imported in sorted(pairs) if importer == package]
        (folder / package / f"{OFFENCE}.py").write_text("".join(imports))
        calls = ENVIRONMENT | CLOCKS_AND_CHANCE
        for number, code in enumerate(calls.values()):
            (folder / package / f"call_{number}.py").write_text(code)
    return folder


@pytest.fixture(scope="module")
def report(broken: Path) -> str:
    """The report of lint-imports about the broken copy."""
    done = lint_imports(broken)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def copy_to(folder: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "peers"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    wide = {"COLUMNS": "400", "PATH": "/usr/bin:/bin"}  # a contract's name stays on one line
    argv = [str(BIN / command[0]), *command[1:]]
    return subprocess.run(argv, cwd=folder, env=wide, capture_output=True, text=True, check=False, timeout=120)


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return run(folder, "lint-imports", "--no-cache", "--no-logo")


def reported_imports(output: str) -> dict[str, set[Pair]]:
    """By contract, the pairs of packages that the report names for the added modules."""
    parts = re.split(r"\n(.+)\n-{3,}\n", output.partition("Broken contracts")[2])
    # The text before the first title belongs to no contract. Then titles and texts alternate.
    found = zip(parts[1::2], parts[2::2], strict=True)
    direct = re.compile(rf"^[- ]+(\w+)\.{OFFENCE} -> (\w+) \(l\.\d+\)$", re.MULTILINE)
    return {title.strip(): set(direct.findall(text)) for title, text in found}


def banned_calls(folder: Path) -> set[Pair]:
    """Pairs of a file and the name that is banned in it."""
    done = run(folder, "ruff", "check", "--select", "TID251", "--output-format", "concise", "--no-cache", ".")
    assert "error" not in done.stderr.lower(), done.stderr
    return set(re.findall(r"^(\S+\.py):\d+:\d+: TID251 `([\w.]+)` is banned", done.stdout, re.MULTILINE))


def test_the_unchanged_copy_breaks_no_rule(whole: Path) -> None:
    done = lint_imports(whole)
    assert done.returncode == 0, done.stdout + done.stderr
    assert banned_calls(whole) == set()


def test_every_contract_has_an_offence_in_this_file() -> None:
    names = [contract["name"] for contract in tool_settings()["importlinter"]["contracts"]]
    assert sorted(names) == sorted(OFFENCES)


@pytest.mark.parametrize("contract", OFFENCES)
def test_the_check_reports_each_offence_against(contract: str, report: str) -> None:
    assert f"{contract} BROKEN" in report
    assert OFFENCES[contract] - reported_imports(report)[contract] == set()


def test_every_banned_name_has_an_offence_in_this_file() -> None:
    for file, names in (
        ("pyproject.toml", set(ENVIRONMENT)),
        *((f"{package}/ruff.toml", set(ENVIRONMENT | CLOCKS_AND_CHANCE)) for package in PURE),
    ):
        settings = tomllib.loads((ROOT / file).read_text(encoding="utf-8"))
        lint = settings["tool"]["ruff"]["lint"] if "tool" in settings else settings["lint"]
        assert set(lint["flake8-tidy-imports"]["banned-api"]) == names, file


def test_only_the_readers_use_the_environment_and_the_pure_packages_use_no_clock(broken: Path) -> None:
    reported = banned_calls(broken)
    assert call_offences(PACKAGES, ENVIRONMENT) - reported == set()
    assert call_offences(PURE, CLOCKS_AND_CHANCE) - reported == set()


def call_offences(packages: Iterable[str], names: Iterable[str]) -> set[Pair]:
    order = list(ENVIRONMENT | CLOCKS_AND_CHANCE)
    return {(f"{package}/call_{order.index(name)}.py", name) for package in packages for name in names}


def test_only_the_readers_are_exempt_from_the_ban_of_the_environment() -> None:
    exempt = {file for file, rules in tool_settings()["ruff"]["lint"]["per-file-ignores"].items() if "TID251" in rules}
    assert exempt == READERS_OF_THE_ENVIRONMENT | {"tests/**", "scripts/setup.py"}


def test_statements_of_sql_are_in_tables_and_in_the_judge_only() -> None:
    found = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        if package not in WITH_SQL
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.match(node.value)
    }
    assert found - SQL_ELSEWHERE == set()


def test_public_classes_have_one_name_in_the_project() -> None:
    """Each public class has its own name, so that a search for the name finds one class."""
    places: dict[str, list[str]] = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
            for statement in tree.body:
                if isinstance(statement, ast.Assign) and (name := alias_of(statement)) is not None:
                    places.setdefault(name, []).append(str(path.relative_to(ROOT)))
    assert {name: found for name, found in places.items() if len(found) > 1 and len(name) > 1} == {}


def alias_of(statement: ast.Assign) -> str | None:
    """Return the name of a type alias, or None where the statement assigns a constant or a function's result."""
    target = statement.targets[0]
    is_alias = isinstance(target, ast.Name) and target.id[0].isupper() and not target.id.isupper()
    return target.id if is_alias and isinstance(target, ast.Name) else None
