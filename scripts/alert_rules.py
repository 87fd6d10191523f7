"""Write the alert rules for Prometheus' operator: the same text as `deploy/monitoring/alerts.yml`, in an object.

python -m scripts.alert_rules
"""

from __future__ import annotations

from pathlib import Path

DEPLOY = Path(__file__).parents[1] / "deploy"
RULES = DEPLOY / "monitoring" / "alerts.yml"
OBJECT = DEPLOY / "kubernetes" / "components" / "monitoring" / "alerts.yaml"
HEAD = """\
# The rules of deploy/monitoring/alerts.yml for Prometheus' operator, written by `python -m scripts.alert_rules`.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: campaigns
  labels: { app.kubernetes.io/name: campaign-streams }
spec:
"""


def text() -> str:
    """The object as YAML."""
    lines = RULES.read_text(encoding="utf-8").splitlines()
    return HEAD + "".join(f"  {line}\n" for line in lines[lines.index("groups:") :])


def main() -> None:
    """Write the file."""
    OBJECT.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
