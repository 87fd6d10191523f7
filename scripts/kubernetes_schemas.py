"""Write `deploy/kubernetes/schemas`: the published schemas of the kinds that our manifests use, without descriptions.

    python -m scripts.kubernetes_schemas

It needs Go, Java 17 and Maven. Kubernetes, KEDA, CloudNativePG and Prometheus' operator publish their schemas in Go
modules. Strimzi publishes Java classes, from which `deploy/kubernetes/schemas/StrimziSchemas.java` reads the schemas as
Jackson does. Run it to raise one of the versions. All sources have the Apache License 2.0.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[1] / "deploy" / "kubernetes" / "schemas"
KUBERNETES = "k8s.io/kubernetes@v1.34.1"
SPECIFICATIONS = ("api__v1", "apis__apps__v1", "apis__batch__v1", "apis__networking.k8s.io__v1", "apis__policy__v1")
KINDS = (
    "ConfigMap", "Deployment", "Job", "Namespace", "NetworkPolicy", "PodDisruptionBudget", "Secret", "Service",
    "ServiceAccount",
)  # fmt: skip
CUSTOM = {
    "keda": ("github.com/kedacore/keda/v2@v2.21.0", "config/crd/bases/keda.sh_{}.yaml",
             ("scaledobjects", "triggerauthentications")),
    "cloudnativepg": ("github.com/cloudnative-pg/cloudnative-pg@v1.27.0",
                      "config/crd/bases/postgresql.cnpg.io_{}.yaml", ("clusters",)),
    "prometheus-operator": ("github.com/prometheus-operator/prometheus-operator@v0.85.0",
                            "example/prometheus-operator-crd/monitoring.coreos.com_{}.yaml",
                            ("podmonitors", "prometheusrules")),
}  # fmt: skip
"""Per project: its Go module, the file of a resource in it, and the resources."""
STRIMZI = "0.51.0"
STRIMZI_CLASSES = ("kafka.Kafka", "nodepool.KafkaNodePool", "user.KafkaUser")
KEPT = frozenset({
    "$ref", "additionalProperties", "allOf", "anyOf", "const", "format", "items", "maxItems", "maxLength",
    "maximum", "minItems", "minLength", "minimum", "not", "nullable", "oneOf", "pattern", "required",
    "type", "uniqueItems",
})  # fmt: skip
REFERENCE = re.compile(r'"#/definitions/([^"]+)"')
POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>local</groupId><artifactId>schemas</artifactId><version>1</version><dependencies><dependency>
<groupId>io.strimzi</groupId><artifactId>api</artifactId><version>{}</version></dependency></dependencies></project>
"""


def main() -> None:
    """Write every file again."""
    write("kubernetes", KUBERNETES, kubernetes(module(KUBERNETES)))
    for name, (source, pattern, resources) in CUSTOM.items():
        write(name, source, custom(module(source) / pattern.format(each) for each in resources))
    write("keda-triggers", CUSTOM["keda"][0], triggers(module(CUSTOM["keda"][0])))
    write("strimzi", f"io.strimzi:api:{STRIMZI}", strimzi())


def write(name: str, source: str, found: dict[str, Any]) -> None:
    """Write one file: the source, the schema of each kind by `apiVersion/kind`, and the definitions that they share."""
    text = json.dumps({"source": source, "license": "Apache-2.0", **found}, sort_keys=True, separators=(",", ":"))
    FOLDER.joinpath(f"{name}.json").write_text(text + "\n", encoding="utf-8")


def module(source: str) -> Path:
    """The folder of a Go module, downloaded where it is missing."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["go", "mod", "download", "-json", source],  # noqa: S607
            cwd=folder, capture_output=True, text=True, check=True,
        )  # fmt: skip
    return Path(json.loads(done.stdout)["Dir"])


def kubernetes(folder: Path) -> dict[str, Any]:
    """The kinds of Kubernetes, and every definition that they lead to."""
    schemas: dict[str, Any] = {}
    for name in SPECIFICATIONS:
        file = folder / "api" / "openapi-spec" / "v3" / f"{name}_openapi.json"
        schemas |= json.loads(file.read_text(encoding="utf-8"))["components"]["schemas"]
    kinds = {}
    for name, schema in schemas.items():
        for each in schema.get("x-kubernetes-group-version-kind", ()):
            if each["kind"] in KINDS and name.endswith(f".{each['version']}.{each['kind']}"):
                version = "/".join(filter(None, (each["group"], each["version"])))
                kinds[f"{version}/{each['kind']}"] = {"$ref": f"#/definitions/{name}"}
    return {"kinds": kinds, "definitions": needed(kinds, {name: strict(each) for name, each in schemas.items()})}


def custom(files: Iterable[Path]) -> dict[str, Any]:
    """The kinds of custom resource definitions, in each version that is served."""
    kinds = {}
    for file in files:
        spec = yaml.safe_load(file.read_text(encoding="utf-8"))["spec"]
        for version in spec["versions"]:
            if version["served"]:
                name = f"{spec['group']}/{version['name']}/{spec['names']['kind']}"
                kinds[name] = whole(strict(version["schema"]["openAPIV3Schema"]))
    return {"kinds": kinds, "definitions": {}}


def triggers(folder: Path) -> dict[str, Any]:
    """The parameters of KEDA's trigger `kafka`, which the schema of its kind leaves open. It ignores unknown ones."""
    file = folder / "schema" / "generated" / "scalers-schema.json"
    [kafka] = [each for each in json.loads(file.read_text(encoding="utf-8"))["scalers"] if each["type"] == "kafka"]
    places = {"metadata": "metadataVariableReadable", "authentication": "triggerAuthenticationVariableReadable"}
    found = {
        place: {each["name"]: each.get("allowedValue") for each in kafka["parameters"] if each.get(readable)}
        for place, readable in places.items()
    }
    return {"kinds": {}, "definitions": {}, "kafka": found}


def strimzi() -> dict[str, Any]:
    """The kinds of Strimzi's classes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.joinpath("pom.xml").write_text(POM.format(STRIMZI), encoding="utf-8")
        path = folder / "path"
        subprocess.run(
            ["mvn", "-q", "-B", "dependency:build-classpath", f"-Dmdep.outputFile={path}"],  # noqa: S607
            cwd=folder, check=True,
        )  # fmt: skip
        classes = [f"io.strimzi.api.kafka.model.{each}" for each in STRIMZI_CLASSES]
        done = subprocess.run(
            ["java", "-cp", path.read_text(encoding="utf-8"), str(FOLDER / "StrimziSchemas.java"), *classes],  # noqa: S607
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    found = json.loads(done.stdout)
    kinds = {name: whole(schema) for name, schema in found["kinds"].items()}
    return {"kinds": kinds, "definitions": needed(kinds, found["definitions"])}


def needed(schemas: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The definitions that these schemas lead to."""
    found: dict[str, Any] = {}
    waiting = REFERENCE.findall(json.dumps(schemas))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = definitions[name]
            waiting += REFERENCE.findall(json.dumps(found[name]))
    return found


def whole(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a whole object. A custom one leaves the metadata to Kubernetes, and the status to its operator."""
    properties = {name: each for name, each in schema["properties"].items() if name != "status"}
    return {**schema, "properties": {**properties, "metadata": {"type": "object"}}, "required": ["metadata", "spec"]}


def strict(schema: Any) -> Any:
    """A schema as JSON Schema, without descriptions, that refuses properties it does not know."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        return {"type": ["integer", "string"]}
    kept: dict[str, Any] = {
        name: strict(each) for name, each in schema.items() if name in KEPT - {"properties", "enum"}
    }
    if "(?" in kept.get("pattern", ""):  # flags inside a pattern are Go's; JSON Schema has none
        del kept["pattern"]
    if "enum" in schema:
        kept["enum"] = schema["enum"]
    if "properties" in schema:
        kept["properties"] = {name: strict(each) for name, each in schema["properties"].items()}
        if "additionalProperties" not in kept and not schema.get("x-kubernetes-preserve-unknown-fields"):
            kept["additionalProperties"] = False
    if "$ref" in kept:
        kept["$ref"] = kept["$ref"].replace("#/components/schemas/", "#/definitions/")
    if kept.pop("nullable", False) and "type" in kept:
        kept["type"] = [kept["type"], "null"]
    if isinstance(kept.get("allOf"), list) and len(kept["allOf"]) == 1 and "$ref" in kept["allOf"][0]:
        kept = kept["allOf"][0]
    return kept


if __name__ == "__main__":
    main()
