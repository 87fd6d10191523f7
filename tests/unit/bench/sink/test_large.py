"""The server of the benchmark has the settings that the documentation names for an installation."""

from __future__ import annotations

from pathlib import Path

import yaml

from bench.sink.large import installation_settings

ROOT = Path(__file__).parents[4]
GIB = 1 << 30


def test_shared_buffers_are_a_quarter_of_the_memory() -> None:
    assert installation_settings(8 * GIB)["shared_buffers"] == "2048MB"


def test_the_documentation_names_the_settings() -> None:
    page = (ROOT / "docs" / "operations" / "run.md").read_text(encoding="utf-8")
    for name, value in installation_settings(8 * GIB).items():
        expected = "a quarter of the memory" if name == "shared_buffers" else f"`{value}`"
        assert f"| `{name}` | {expected}" in page


def test_the_cluster_has_the_settings_too() -> None:
    """A container of 8 GiB has 2 GB of shared buffers."""
    text = (ROOT / "deploy" / "kubernetes" / "servers" / "postgres.yaml").read_text(encoding="utf-8")
    given = yaml.safe_load(text)["spec"]["postgresql"]["parameters"]
    settings = installation_settings(8 * GIB)
    assert settings.pop("shared_buffers") == "2048MB"
    assert given["shared_buffers"] == "2GB"
    assert {name: given[name] for name in settings} == settings
