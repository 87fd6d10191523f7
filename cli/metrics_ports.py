"""The ports of /health, /ready and /metrics of the processes of `campaigns up`: one for each, on one machine."""

from __future__ import annotations

from cli.processes import MODULES
from stack.ports import free_ports, is_listening

ABOVE_API = 10
"""Where nothing is requested, the first port is that of the API and this: 8010. Two runs in two directories have two
ports of the API, so they do not disturb each other."""
PORT_MAX = 65_535


class MetricsPortTaken(Exception):
    """A requested port is used by another program, or there is no such port."""


def metrics_ports(requested: int | None, api_port: int) -> dict[str, int]:
    """The port of each process, by its name. `requested`: the first one, 0 for free ones, None for the usual ones.

    `api_port`: the port of the API; 0 means a free one, and then the usual ones are free ones too. Raises
    MetricsPortTaken for a requested port. A usual port that is taken leads to free ones.
    """
    if requested == 0 or (requested is None and api_port == 0):
        return _free()
    first = api_port + ABOVE_API if requested is None else requested
    ports = {name: first + number for number, name in enumerate(MODULES)}
    wrong = next((port for port in ports.values() if port > PORT_MAX or is_listening(port)), None)
    if wrong is None:
        return ports
    if requested is None:
        return _free()
    reason = "is taken" if wrong <= PORT_MAX else "does not exist"
    raise MetricsPortTaken(
        f"port {wrong} {reason}: the {len(ports)} processes need a port each for their metrics. Choose another first "
        "one with --metrics-port, 0 picks free ones"
    )


def _free() -> dict[str, int]:
    return dict(zip(MODULES, free_ports(len(MODULES)), strict=True))
