"""The manifests agree with the code: processes, settings, topics, groups, ports, rights and times."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from api.server import LISTS_SIZE, POOL_SIZE, STOPS_SIZE
from cli.processes import MODULES
from operations.readiness import WITHOUT_POSTGRES
from runtime.process import STOP_DEADLINE_S
from runtime.settings import PREFIX, Settings, read_settings
from runtime.settings_setup import SETUP_ONLY
from schemas.topics import BY_NAME, SPECS, USES, Topic
from streams.sender.process import DATABASE_CONNECTIONS
from tests.support.manifests import FOLDER, Manifest, rendered
from tests.support.paths import ROOT
from topics.access import GROUPS, STAGES
from topics.apply import IN_SYNC_MIN, REPLICAS

OVERLAYS = ("overlays/production", "overlays/own-servers")
PARTS = ("", "/prepare", "/operator")
SECRET = "a-secret-of-more-than-16-characters"
SECRETS = {
    "ingress": {"WEBHOOK_APP_SECRETS", "WEBHOOK_VERIFY_TOKEN"},
    "reconciler": {"CALLBACK_SECRET"},
    "scheduler": {"WHATSAPP_ACCESS_TOKEN"},
    "sender": {"WHATSAPP_ACCESS_TOKEN", "CALLBACK_SECRET"},
    "api": {"API_KEYS", "WHATSAPP_ACCESS_TOKEN"},
}
"""What each process needs to start and for all of its work, and nothing more."""
CONNECTIONS = {
    "sink": 1, "sender": DATABASE_CONNECTIONS, "scheduler": 2, "stats-publisher": 1,
    "api": POOL_SIZE + LISTS_SIZE + STOPS_SIZE,
}  # fmt: skip
"""The connections to Postgres that a process keeps at most."""
both = pytest.mark.parametrize("overlay", OVERLAYS)


def of_kind(folder: str, kind: str) -> dict[str, Manifest]:
    return {each["metadata"]["name"]: each for each in rendered(folder) if each["kind"] == kind}


def deployments(overlay: str = OVERLAYS[0]) -> dict[str, Manifest]:
    return of_kind(overlay, "Deployment")


def pods(overlay: str) -> dict[str, Manifest]:
    """The pod of each Deployment and Job, by its name."""
    found = (of_kind(overlay + part, kind) for part in PARTS for kind in ("Deployment", "Job"))
    return {name: each["spec"]["template"] for objects in found for name, each in objects.items()}


def container(pod: Manifest) -> Manifest:
    [found] = pod["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def variables(overlay: str, pod: Manifest) -> dict[str, str]:
    """The environment of a pod. A value from a Secret is a made-up one, unless the Secret may be missing."""
    settings = shared_settings(overlay)
    assert container(pod)["envFrom"] == [{"configMapRef": {"name": settings["metadata"]["name"]}}]
    found = dict(settings["data"])
    for each in container(pod).get("env", ()):
        if "value" in each:
            found[each["name"]] = each["value"]
        elif not each["valueFrom"]["secretKeyRef"].get("optional") or f"{PREFIX}KAFKA_USER" in found:
            is_address = each["name"] == f"{PREFIX}DATABASE_URL"
            found[each["name"]] = f"postgresql://campaigns:{SECRET}@host/db" if is_address else SECRET
    return found


def shared_settings(folder: str) -> Manifest:
    """The ConfigMap of all processes. Its name ends with a hash of its content."""
    [found] = [each for name, each in of_kind(folder, "ConfigMap").items() if name.startswith("campaigns-settings-")]
    return found


def group_of(name: str) -> str:
    """The real name of a consumer group without a prefix."""
    address = {f"{PREFIX}KAFKA_BOOTSTRAP_SERVERS": "host:9092", f"{PREFIX}DATABASE_URL": "postgresql://host/db"}
    return read_settings(address, Path("/nonexistent")).group(name)


def selects(selector: Mapping[str, Any], pod: Manifest) -> bool:
    labels = pod["metadata"]["labels"]
    expressions = selector.get("matchExpressions", ())
    assert all(each["operator"] in ("In", "NotIn") for each in expressions)
    return all(labels.get(name) == value for name, value in selector.get("matchLabels", {}).items()) and all(
        (labels.get(each["key"]) in each["values"]) is (each["operator"] == "In") for each in expressions
    )


@both
def test_every_process_has_a_deployment(overlay: str) -> None:
    assert {name: container(pod)["args"] for name, pod in pods(overlay).items() if name in deployments(overlay)} == {
        name: [name] for name in MODULES
    }


@both
def test_every_variable_is_a_setting(overlay: str) -> None:
    known = {f"{PREFIX}{name.upper()}" for name in (*Settings.model_fields, *SETUP_ONLY)}
    for pod in pods(overlay).values():
        assert {name for name in variables(overlay, pod) if name.startswith(PREFIX)} - known == set()


@both
def test_every_pod_has_valid_settings(overlay: str, tmp_path: Path) -> None:
    for pod in pods(overlay).values():
        settings = read_settings(variables(overlay, pod), tmp_path)
        assert settings.ingress_host == settings.api_host == settings.metrics_host == "0.0.0.0"
        assert settings.log_format == "json"


@both
def test_each_process_has_the_secrets_that_it_needs_and_no_others(overlay: str) -> None:
    everything = {f"{PREFIX}{name}" for names in SECRETS.values() for name in names}
    for name, pod in pods(overlay).items():
        given = {
            each["name"]
            for each in container(pod).get("env", ())
            if each.get("valueFrom", {}).get("secretKeyRef", {}).get("name") == "campaigns-secrets"
        }
        needed = {f"{PREFIX}{each}" for each in SECRETS.get(name, ())}
        assert given == (everything if name == "operator" else needed), name


@both
def test_only_processes_that_use_postgres_get_its_address_and_may_reach_it(overlay: str) -> None:
    policy = of_kind(overlay, "NetworkPolicy")["campaigns-postgres"]["spec"]
    for name, pod in pods(overlay).items():
        uses_postgres = name not in {*WITHOUT_POSTGRES, "topics"}
        assert (variables(overlay, pod)[f"{PREFIX}DATABASE_URL"] != "postgresql://not-used") is uses_postgres
        assert selects(policy["podSelector"], pod) is uses_postgres


def test_the_example_of_the_secret_has_its_names_and_no_value() -> None:
    lines = (FOLDER / "secrets.env.example").read_text(encoding="utf-8").splitlines()
    names = [line for line in lines if line and not line.startswith("#")]
    assert all(name.endswith("=") for name in names)
    assert {name.rstrip("=") for name in names} == {f"{PREFIX}{each}" for names in SECRETS.values() for each in names}


@both
def test_no_object_contains_a_secret(overlay: str) -> None:
    assert [each for part in PARTS for each in rendered(overlay + part) if each["kind"] == "Secret"] == []
    for part in PARTS:
        for each in of_kind(overlay + part, "ConfigMap").values():
            secret = {name for name in each["data"] if re.search("TOKEN|PASSWORD|SECRET|KEYS", name)}
            assert secret == set()


@both
def test_every_pod_keeps_to_the_restricted_profile(overlay: str) -> None:
    image = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    user = re.search(r"--uid (\d+)", image)
    assert user is not None
    for pod in pods(overlay).values():
        context = pod["spec"]["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] == int(user[1])
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container(pod)["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert pod["spec"]["enableServiceLinks"] is False  # `campaigns-kafka` would set CAMPAIGNS_KAFKA_PORT
        assert pod["spec"]["serviceAccountName"] in of_kind(overlay, "ServiceAccount")
        assert {"cpu", "memory"} <= container(pod)["resources"]["requests"].keys()
        assert "memory" in container(pod)["resources"]["limits"]


@both
def test_ports_are_those_of_the_settings(overlay: str, tmp_path: Path) -> None:
    for name, pod in pods(overlay).items():
        if name not in MODULES:
            continue
        settings = read_settings(variables(overlay, pod), tmp_path)
        ports = {each["name"]: each["containerPort"] for each in container(pod)["ports"]}
        http = {"ingress": settings.ingress_port, "api": settings.api_port}
        assert ports == {"metrics": settings.metrics_port} | ({"http": http[name]} if name in http else {})
        for probe, path in (("startupProbe", "/health"), ("livenessProbe", "/health"), ("readinessProbe", "/ready")):
            assert container(pod)[probe]["httpGet"] == {"path": path, "port": "metrics"}


@both
def test_a_process_has_the_time_to_stop(overlay: str) -> None:
    for name, pod in pods(overlay).items():
        if name in MODULES:
            pause_s = container(pod).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
            assert pod["spec"]["terminationGracePeriodSeconds"] > pause_s + STOP_DEADLINE_S + 5


@both
def test_no_process_goes_away_for_a_new_release_or_a_drained_node(overlay: str) -> None:
    budgets = of_kind(overlay, "PodDisruptionBudget")
    for name, each in deployments(overlay).items():
        assert each["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
        assert each["spec"].get("replicas", 2) >= 2
        assert selects(each["spec"]["selector"], each["spec"]["template"])
        found = [budget for budget in budgets.values() if selects(budget["spec"]["selector"], each["spec"]["template"])]
        assert [budget["metadata"]["name"] for budget in found] == [name]
        assert found[0]["spec"]["maxUnavailable"] == 1


@both
def test_the_services_lead_to_the_two_processes_that_serve(overlay: str) -> None:
    services = of_kind(overlay, "Service")
    assert services.keys() == {"ingress", "api"}
    for service in services.values():
        found = [n for n, pod in pods(overlay).items() if selects({"matchLabels": service["spec"]["selector"]}, pod)]
        assert found == [service["metadata"]["name"]]
        [port] = service["spec"]["ports"]
        assert port["targetPort"] in {each["name"] for each in container(pods(overlay)[found[0]])["ports"]}


@both
def test_network_policies_deny_by_default_and_only_processes_with_a_token_reach_the_internet(overlay: str) -> None:
    policies = {name: each["spec"] for name, each in of_kind(overlay, "NetworkPolicy").items()}
    deny = policies["campaigns-deny"]
    assert deny.keys() == {"podSelector", "policyTypes"}
    assert deny["policyTypes"] == ["Ingress", "Egress"]
    assert all(selects(deny["podSelector"], pod) for pod in pods(overlay).values())
    web = policies["campaigns-cloud-api"]["podSelector"]
    with_token = [
        name for name, pod in pods(overlay).items() if f"{PREFIX}WHATSAPP_ACCESS_TOKEN" in variables(overlay, pod)
    ]
    assert [name for name, pod in pods(overlay).items() if selects(web, pod)] == with_token != []
    open_443 = [
        name
        for name, each in policies.items()
        if any(port["port"] == 443 for rule in each.get("egress", ()) for port in rule["ports"])
    ]
    assert open_443 == ["campaigns-cloud-api"]


def test_lag_scales_each_stage_by_its_own_group_and_topic() -> None:
    scaled = of_kind(OVERLAYS[0], "ScaledObject")
    assert scaled.keys() == set(STAGES)
    settings = shared_settings(OVERLAYS[0])
    for stage, each in scaled.items():
        [trigger] = each["spec"]["triggers"]
        names = trigger["metadata"]
        topic = Topic(names["topic"])
        assert USES[topic].readers == (stage,)
        assert names["consumerGroup"] == group_of(stage)
        assert names["bootstrapServers"] == settings["data"][f"{PREFIX}KAFKA_BOOTSTRAP_SERVERS"]
        assert each["spec"]["maxReplicaCount"] == BY_NAME[topic].partitions
        assert each["spec"]["scaleTargetRef"]["name"] == stage
        assert "replicas" not in deployments()[stage]["spec"]
        parameters = json.loads((FOLDER / "schemas" / "keda-triggers.json").read_text(encoding="utf-8"))["kafka"]
        assert names.keys() <= parameters["metadata"].keys()
        assert all(
            names[name] in allowed for name, allowed in parameters["metadata"].items() if allowed and name in names
        )
        [account] = of_kind(OVERLAYS[0], "TriggerAuthentication").values()
        assert trigger["authenticationRef"]["name"] == account["metadata"]["name"]
        given = [*account["spec"]["secretTargetRef"], *account["spec"]["configMapTargetRef"]]
        assert (
            {each["parameter"] for each in given}
            == {"username", "password", "ca"}
            <= parameters["authentication"].keys()
        )
        assert of_kind(OVERLAYS[0], "ConfigMap")["campaigns-lag"]["data"]["username"] in of_kind("servers", "KafkaUser")


def test_metrics_are_read_from_every_process() -> None:
    [monitor] = of_kind(OVERLAYS[0], "PodMonitor").values()
    [endpoint] = monitor["spec"]["podMetricsEndpoints"]
    for name, pod in pods(OVERLAYS[0]).items():
        if name in MODULES:
            assert selects(monitor["spec"]["selector"], pod)
            assert endpoint["port"] in {each["name"] for each in container(pod)["ports"]}


def test_kafka_keeps_what_was_acknowledged() -> None:
    [pool] = of_kind("servers", "KafkaNodePool").values()
    [kafka] = of_kind("servers", "Kafka").values()
    config = kafka["spec"]["kafka"]["config"]
    assert pool["spec"]["replicas"] == config["default.replication.factor"] == REPLICAS
    assert config["min.insync.replicas"] == config["transaction.state.log.min.isr"] == IN_SYNC_MIN
    assert config["auto.create.topics.enable"] is config["unclean.leader.election.enable"] is False
    [listener] = kafka["spec"]["kafka"]["listeners"]
    settings = shared_settings(OVERLAYS[0])
    servers = settings["data"][f"{PREFIX}KAFKA_BOOTSTRAP_SERVERS"]
    assert servers == f"{kafka['metadata']['name']}-kafka-bootstrap:{listener['port']}"


def rights(user: str, kind: str, name: str) -> set[str]:
    """The operations that the rules of a Kafka user allow on one resource."""
    found: set[str] = set()
    for rule in of_kind("servers", "KafkaUser")[user]["spec"]["authorization"]["acls"]:
        resource = rule["resource"]
        is_prefix = resource["patternType"] == "prefix"
        fits = name.startswith(resource["name"]) if is_prefix else name == resource["name"]
        found |= set(rule["operations"]) if resource["type"] == kind and fits else set()
    return found


def test_the_accounts_of_kafka_have_the_rights_that_the_code_needs() -> None:
    for spec in SPECS:
        assert {"Read", "Write", "Describe"} <= rights("campaigns-kafka-user", "topic", spec.name)
        assert "Create" not in rights("campaigns-kafka-user", "topic", spec.name)
        assert {"Create", "Alter", "AlterConfigs"} <= rights("campaigns-kafka-admin", "topic", spec.name)
    for group in (*GROUPS, "look"):
        assert "Read" in rights("campaigns-kafka-user", "group", group_of(group))
    for stage in STAGES:
        assert rights("campaigns-kafka-lag", "group", group_of(stage)) == {"Describe"}
    assert "Write" in rights("campaigns-kafka-user", "transactionalId", group_of("stats"))


def test_postgres_commits_to_a_standby_and_its_names_are_those_of_the_pods() -> None:
    [cluster] = of_kind("servers", "Cluster").values()
    assert cluster["spec"]["instances"] >= 3
    assert cluster["spec"]["postgresql"]["synchronous"]["dataDurability"] == "required"
    assert cluster["spec"]["primaryUpdateMethod"] == "restart"  # a switch-over needs `campaigns recover`
    address = container(pods(OVERLAYS[0])["sink"])["env"]
    [secret] = [each for each in address if each["name"] == f"{PREFIX}DATABASE_URL"]
    assert secret["valueFrom"]["secretKeyRef"] == {"name": f"{cluster['metadata']['name']}-app", "key": "uri"}


def test_postgres_has_a_connection_for_every_pod() -> None:
    [cluster] = of_kind("servers", "Cluster").values()
    scaled = {name: each["spec"]["maxReplicaCount"] for name, each in of_kind(OVERLAYS[0], "ScaledObject").items()}
    most = 0
    for name, count in CONNECTIONS.items():
        pods_most = scaled.get(name) or deployments()[name]["spec"]["replicas"]
        of_requests = 1 if name == "api" else 0
        most += (pods_most + 1) * (count + of_requests + 1)  # one more pod in a release, and a probe's connection
    page = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    assert f"that is {most} of the 200" in page
    assert cluster["spec"]["postgresql"]["parameters"]["max_connections"] == "200"
    listed = dict(re.findall(r"^\| ([a-z-]+) \| (\d+) \|", page, re.MULTILINE))
    assert listed == {name: str(count) for name, count in CONNECTIONS.items()}
