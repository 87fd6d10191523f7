"""The manifests of `deploy/kubernetes`: as they are written, as kustomize renders them, and their published schemas."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from tests.support.paths import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
Manifest = dict[str, Any]


def renderer() -> list[str] | None:
    """The command that renders a folder: kustomize, or the one inside of kubectl."""
    for command in (["kustomize", "build"], ["kubectl", "kustomize"]):
        if shutil.which(command[0]):
            return command
    return None


@cache
def rendered(folder: str) -> tuple[Manifest, ...]:
    """The objects of one folder. Skips the test where nothing can render them."""
    command = renderer()
    if command is None:
        pytest.skip("neither kustomize nor kubectl is installed")
    done = subprocess.run([*command, str(FOLDER / folder)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return tuple(objects(done.stdout))


def objects(text: str) -> list[Manifest]:
    """The objects of a YAML text."""
    return [each for each in yaml.load_all(text, Loader=yaml.CSafeLoader) if each is not None]


def written(path: Path) -> list[Manifest]:
    """The objects of one file."""
    return objects(path.read_text(encoding="utf-8"))


def sources() -> Iterator[tuple[str, Manifest]]:
    """Each object as it is written, with its file. Those of kustomize itself, and patches, are left out."""
    for path in sorted(FOLDER.rglob("*.yaml")):
        for each in written(path):
            is_patch = each["metadata"]["name"].startswith("every-") if "metadata" in each else True
            if not is_patch:
                yield str(path.relative_to(FOLDER)), each


def problems(manifest: Manifest) -> list[str]:
    """What the published schema of its kind refuses."""
    kind = f"{manifest['apiVersion']}/{manifest['kind']}"
    validator = validators().get(kind)
    if validator is None:
        return [f"no schema of {kind}"]
    return [problem.message for problem in validator.iter_errors(manifest)]


@cache
def validators() -> dict[str, jsonschema_rs.Draft7Validator]:
    """A validator for each `apiVersion/kind` that our manifests use."""
    found = {}
    for path in sorted((FOLDER / "schemas").glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        for kind, schema in document["kinds"].items():
            whole = {**schema, "definitions": document["definitions"]}
            if "$ref" in schema:
                whole = {"allOf": [schema], "definitions": document["definitions"]}
            found[kind] = jsonschema_rs.Draft7Validator(whole)
    return found
