"""Rules, dashboard and runbook agree with the metrics and commands of the code."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.main import get_command

from cli.main import app
from cli.processes import MODULES
from scripts import alert_rules
from scripts.reference import metrics_by_name
from tests.contract.test_commands import NAMES, PASSES_THROUGH, command_of
from tests.support.alert_cases import CASES, HEALTHY, MINUTES
from tests.support.paths import ROOT

FOLDER = ROOT / "deploy" / "monitoring"
RUNBOOK = (ROOT / "docs" / "operations" / "alerts.md").read_text(encoding="utf-8")
NAME = re.compile(r"\bcampaigns_[a-z_]+\b")
SELECTOR = re.compile(r"(campaigns_[a-z_]+)\{([^}]*)\}")
LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
COMMANDS_EACH = 3


def _rules() -> list[dict[str, Any]]:
    found = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))
    return [rule for group in found["groups"] for rule in group["rules"]]


def _panels() -> list[dict[str, Any]]:
    found = json.loads((FOLDER / "dashboards" / "campaigns.json").read_text(encoding="utf-8"))
    return list(found["panels"])


RULES = _rules()
EXPRESSIONS = {
    **{rule["alert"]: [rule["expr"]] for rule in RULES},
    **{panel["title"]: [target["expr"] for target in panel.get("targets", ())] for panel in _panels()},
}


def series() -> dict[str, set[str]]:
    """Every name of a series that a process can show, with its labels."""
    shown: dict[str, set[str]] = {}
    for name, metric in metrics_by_name().items():
        labels = set(metric._labelnames)
        if next(iter(metric.describe())).type == "histogram":
            shown |= {f"{name}_bucket": labels | {"le"}, f"{name}_sum": labels, f"{name}_count": labels}
        else:
            shown[name] = labels
    return shown


@pytest.mark.parametrize("place", EXPRESSIONS)
def test_each_expression_names_series_and_labels_that_exist(place: str) -> None:
    known = series()
    for expression in EXPRESSIONS[place]:
        assert set(NAME.findall(expression)) - known.keys() == set()
        for name, selector in SELECTOR.findall(expression):
            assert set(LABEL.findall(selector)) - known[name] == set()


def test_the_dashboard_shows_most_metrics() -> None:
    shown = {name for expressions in EXPRESSIONS.values() for text in expressions for name in NAME.findall(text)}
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}
    assert len(families & metrics_by_name().keys()) >= len(metrics_by_name()) * 2 // 3


def test_each_alert_has_its_runbook_entry_and_the_reverse() -> None:
    assert re.findall(r"^## (\w+)$", RUNBOOK, re.MULTILINE) == [rule["alert"] for rule in RULES]
    for rule in RULES:
        assert rule["annotations"]["runbook"] == f"docs/operations/alerts.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in ("warning", "critical")


def entries() -> Iterator[tuple[str, str]]:
    for entry in RUNBOOK.split("\n## ")[1:]:
        yield entry.partition("\n")[0], entry


def parses(words: list[str]) -> None:
    """Parse a command line with the real command."""
    name = next(" ".join(words[1:end]) for end in (3, 2) if " ".join(words[1:end]) in NAMES)
    if name not in PASSES_THROUGH:
        arguments = words[1 + len(name.split()) :]
        command_of(name).make_context(name, arguments, parent=typer.Context(get_command(app)))


@pytest.mark.parametrize(("alert", "entry"), [*entries()], ids=lambda value: value.partition("\n")[0])
def test_each_entry_has_a_symptom_a_meaning_and_three_commands_that_exist(alert: str, entry: str) -> None:
    assert f"{alert}\n\n**Symptom**: " in entry
    assert "\n\n**Meaning**: " in entry
    commands = entry.partition("```sh\n")[2].partition("\n```")[0].splitlines()
    assert len(commands) == COMMANDS_EACH
    for command in commands:
        words = shlex.split(command)
        if words[0] == "campaigns":
            parses(words)
        else:
            assert words[:2] == ["docker", "compose"]


def test_every_process_is_scraped_and_missed() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    services = {name for name, service in compose["services"].items() if service.get("command", [""])[0] in MODULES}
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    (job,) = config["scrape_configs"]
    (found,) = job["dns_sd_configs"]
    assert set(found["names"]) == services
    assert (found["type"], found["port"]) == ("A", 9100)
    missing = next(rule["expr"] for rule in RULES if rule["alert"] == "CampaignsProcessMissing")
    assert set(re.findall(r'process="([\w-]+)"', missing)) == set(MODULES)


def test_the_profile_mounts_what_the_servers_read() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    for name in ("prometheus", "grafana"):
        assert services[name]["profiles"] == ["monitoring"]
        for volume in services[name]["volumes"]:
            if volume.startswith("./"):
                assert (ROOT / volume.partition(":")[0]).exists()


def test_the_object_for_the_operator_of_prometheus_has_the_same_rules() -> None:
    assert alert_rules.OBJECT.read_text(encoding="utf-8") == alert_rules.text(), "run `make docs`"
    written = yaml.safe_load(alert_rules.text())
    assert written["spec"] == yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))


def test_the_operator_of_prometheus_gives_the_processes_the_job_that_the_alerts_name() -> None:
    file = alert_rules.OBJECT.parent / "podmonitor.yaml"
    [endpoint] = yaml.safe_load(file.read_text(encoding="utf-8"))["spec"]["podMetricsEndpoints"]
    named = {job for rule in RULES for job in re.findall(r'job="([^"]+)"', rule["expr"])}
    assert [{each["targetLabel"]: each["replacement"]} for each in endpoint["relabelings"]] == [
        {"job": job} for job in named
    ]


def test_each_alert_has_a_case_in_which_it_fires() -> None:
    assert {alert for case in CASES for alert in case.firing} == {rule["alert"] for rule in RULES}
    used = {name for rule in RULES for name in NAME.findall(rule["expr"])}
    assert used == {name for series in HEALTHY for name in NAME.findall(series)}


def test_an_alert_fires_in_its_case_and_in_no_other(promtool: str, tmp_path: Path) -> None:
    """promtool evaluates the rules, minute by minute, over the series of each case."""
    tests = [
        {
            "name": case.name,
            "interval": "1m",
            "input_series": [
                {"series": name, "values": values} for name, values in {**HEALTHY, **case.changes}.items() if values
            ],
            "promql_expr_test": [
                {
                    "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                    "eval_time": f"{MINUTES}m",
                    "exp_samples": [
                        {"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in sorted(case.firing)
                    ],
                }
            ],
        }
        for case in CASES
    ]
    file = tmp_path / "alerts.test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(FOLDER / "alerts.yml")], "tests": tests}), encoding="utf-8")
    done = subprocess.run(
        [promtool, "test", "rules", str(file)], capture_output=True, text=True, check=False, timeout=110
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def promtool() -> str:
    """The path of promtool. No package registry of the set-up has it."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed (Debian: apt install prometheus)")
    return found


DASHBOARDS = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (FOLDER / "dashboards").glob("*.json")
}
WIDTH = 24
"""Columns of Grafana's grid."""


@pytest.mark.parametrize("name", DASHBOARDS)
def test_the_panels_of_a_dashboard_have_places_targets_and_sources(name: str) -> None:
    panels = DASHBOARDS[name]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        assert 0 <= at["x"] < at["x"] + at["w"] <= WIDTH
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not own & cells, f"{panel['title']} lies over another panel"
        cells |= own
        if panel["type"] == "row":
            continue
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references) > 0
        assert all(target.get("datasource", panel["datasource"]) == panel["datasource"] for target in panel["targets"])


def test_the_dashboards_name_the_sources_that_are_set_up() -> None:
    sources = {
        each["uid"]: each["type"]
        for file in (FOLDER / "grafana" / "provisioning" / "datasources").glob("*.yml")
        for each in yaml.safe_load(file.read_text(encoding="utf-8"))["datasources"]
    }
    named = {
        (panel["datasource"]["uid"], panel["datasource"]["type"])
        for dashboard in DASHBOARDS.values()
        for panel in (*dashboard["panels"], *dashboard["templating"]["list"])
        if panel["type"] != "row"
    }
    assert named == set(sources.items())


def test_promtool_parses_each_expression_of_the_dashboard(promtool: str, tmp_path: Path) -> None:
    expressions = [target["expr"] for panel in _panels() for target in panel.get("targets", ())]
    rules = [
        {"record": f"panel:{place}", "expr": re.sub(r"\$__(rate_interval|range)", "5m", expression)}
        for place, expression in enumerate(expressions)
    ]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    done = subprocess.run(
        [promtool, "check", "rules", str(file)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SUCCESS: {len(rules)} rules found" in done.stdout


def test_promtool_accepts_the_configuration(promtool: str) -> None:
    for kind, name in (("config", "prometheus.yml"), ("rules", "alerts.yml")):
        done = subprocess.run(
            [promtool, "check", kind, str(FOLDER / name)], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
