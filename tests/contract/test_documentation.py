"""The documentation is complete and its links and paths exist."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer import Typer
from typer.main import get_command_name

from domain.history import Effect
from operations.audit import LEDGER_CHECKS, STATE_CHECKS
from runtime.settings import Settings
from runtime.settings_setup import SETUP_ONLY
from schemas.reasons import RepairRefusal
from scripts.cli_reference import WIDTH
from scripts.reference import metrics_by_name
from tests.support.paths import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
GUIDE = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs" / "operations").glob("*.md")))
PACKAGES = {
    "api", "cli", "domain", "operations", "producers", "runtime", "schemas", "simulator", "sinks", "stack", "streams",
    "tables", "topics", "verdict",
}  # fmt: skip
PATH = re.compile(rf"`((?:{'|'.join(sorted(PACKAGES))}|bench|tests|scripts|docs|deploy)/[\w./*-]+)`")
MODULE = re.compile(r"`python -m ([\w.]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
SETTING = re.compile(r"\bCAMPAIGNS_[A-Z0-9_]*[A-Z0-9]\b")
METRIC = re.compile(r"`(campaigns_[a-z_]+)`")


def texts() -> Iterator[tuple[str, str]]:
    for path in PAGES:
        yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


def commands(app: Typer, prefix: str = "campaigns") -> Iterator[str]:
    """Every command with the names of its groups."""
    for command in app.registered_commands:
        callback = command.callback
        assert callback is not None
        yield f"{prefix} {command.name or get_command_name(callback.__name__)}"
    for group in app.registered_groups:
        assert group.typer_instance is not None
        yield from commands(group.typer_instance, f"{prefix} {group.name}")


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_no_line_is_wider_than_the_limit(page: Path) -> None:
    lines = enumerate(page.read_text(encoding="utf-8").split("\n"), start=1)
    assert [number for number, line in lines if len(line) > WIDTH and "http" not in line] == []


def test_the_operations_guide_names_every_command() -> None:
    from cli.main import app  # noqa: PLC0415 - the command line is heavy to import

    names = list(commands(app))
    assert {"campaigns db migrate", "campaigns topics apply", "campaigns dead-letters list"} <= set(names)
    known = GUIDE.replace("`campaigns dead-letters list | show | redrive | drop`", "").split("`")
    listed = {f"campaigns dead-letters {act}" for act in ("list", "show", "redrive", "drop")}
    assert "`campaigns dead-letters list | show | redrive | drop`" in GUIDE
    missing = [name for name in names if not any(each.startswith(name) for each in known) and name not in listed]
    assert missing == []


def test_the_operations_guide_explains_every_finding_of_verify_and_every_effect() -> None:
    codes = {*STATE_CHECKS, *LEDGER_CHECKS, *(effect.value for effect in Effect if effect is not Effect.CHANGED)}
    assert {code for code in codes if f"`{code}`" not in GUIDE} == set()


def test_the_operations_guide_explains_every_refusal_and_every_code_of_the_verdict() -> None:
    codes = {code.value for code in RepairRefusal}
    for node in ast.walk(ast.parse((ROOT / "verdict/truth.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "wrong.append":
            codes.update(str(arg.value) for arg in node.args[:1] if isinstance(arg, ast.Constant))
    assert {"too_young", "campaign_active", "left_queued"} <= codes
    assert {code for code in codes if f"`{code}`" not in GUIDE} == set()


def test_settings_in_the_documentation_exist() -> None:
    known = {f"CAMPAIGNS_{name.upper()}" for name in (*Settings.model_fields, *SETUP_ONLY)}
    assert {name for _, text in texts() for name in SETTING.findall(text)} - known == set()


def test_metrics_in_the_documentation_exist() -> None:
    named = {name for page, text in texts() if page != "CHANGELOG.md" for name in METRIC.findall(text)}
    assert named - set(metrics_by_name()) == set()


def test_paths_and_modules_in_the_documentation_exist() -> None:
    missing = [
        f"{page}: {path}"
        for page, text in texts()
        for path in PATH.findall(text)
        if not list(ROOT.glob(path.rstrip("/")))
    ]
    missing += [
        f"{page}: {module}"
        for page, text in texts()
        for module in MODULE.findall(text)
        if not (ROOT / f"{module.replace('.', '/')}.py").exists() and not (ROOT / module / "__main__.py").exists()
    ]
    assert missing == []


def test_links_lead_to_files_and_headings() -> None:
    missing = []
    for page in PAGES:
        for link in LINK.findall(page.read_text(encoding="utf-8")):
            if link.startswith("http"):
                continue
            path, _, heading = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            if not target.exists() or (heading and heading not in anchors(target)):
                missing.append(f"{page.relative_to(ROOT)}: {link}")
    assert missing == []


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub names them in links."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_the_image_and_the_package_contain_every_package() -> None:
    image = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    assert {
        name for name, target in re.findall(r"^COPY (\w+) (\w+)$", image, re.MULTILINE) if name == target
    } == PACKAGES
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    assert set(tool["setuptools"]["packages"]["find"]["include"]) == {f"{name}*" for name in PACKAGES}
    assert set(tool["importlinter"]["root_packages"]) == PACKAGES | {"bench"}
    assert set(tool["mypy"]["files"]) >= PACKAGES
    code = re.search(r"^CODE := (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert code is not None
    assert set(code[1].split()) >= PACKAGES


def test_the_list_of_packages_is_that_of_the_tree() -> None:
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert found - {"bench", "tests", "scripts"} == PACKAGES
