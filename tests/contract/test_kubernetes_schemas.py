"""The manifests are what Kubernetes and the operators accept, by their published schemas."""

from __future__ import annotations

from copy import deepcopy

import pytest

from tests.support.manifests import FOLDER, Manifest, problems, rendered, sources, written

OVERLAYS = [str(path.parent.relative_to(FOLDER)) for path in sorted(FOLDER.rglob("kustomization.yaml"))]
APPLIED = [each for each in OVERLAYS if not each.startswith("components") and not each.endswith("release")]
NAMED = [(f"{file}:{each['kind']}:{each['metadata']['name']}", each) for file, each in sources()]


@pytest.mark.parametrize("manifest", [each for _, each in NAMED], ids=[name for name, _ in NAMED])
def test_each_object_is_accepted_as_it_is_written(manifest: Manifest) -> None:
    assert problems(manifest) == []


@pytest.mark.parametrize("folder", APPLIED)
def test_each_object_is_accepted_as_it_is_applied(folder: str) -> None:
    found = rendered(folder)
    assert found
    refused = {f"{each['kind']}/{each['metadata']['name']}": problems(each) for each in found}
    assert {name: each for name, each in refused.items() if each} == {}


def test_the_schemas_refuse_a_wrong_name_and_a_wrong_value() -> None:
    examples = {each["kind"]: each for _, each in NAMED}
    for kind in (
        "Deployment",
        "ScaledObject",
        "PodMonitor",
        "PrometheusRule",
        "Cluster",
        "Kafka",
        "KafkaNodePool",
        "KafkaUser",
    ):
        for wrong in ({"spec": {**examples[kind]["spec"], "notThere": 1}}, {"spec": 1}):
            assert problems({**examples[kind], **wrong}), kind
    deployment = deepcopy(examples["Deployment"])
    deployment["spec"]["template"]["spec"]["containers"][0]["resources"]["limit"] = {}
    assert problems(deployment)


def test_the_patches_of_processes_and_jobs_are_equal() -> None:
    [deployment] = written(FOLDER / "components" / "pod" / "deployment.yaml")
    [job] = written(FOLDER / "components" / "pod" / "job.yaml")
    assert deployment["spec"] == job["spec"]
