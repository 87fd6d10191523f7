"""Free ports on the loopback address."""

from __future__ import annotations

import socket
from contextlib import ExitStack, suppress
from random import SystemRandom

LOOPBACK = "127.0.0.1"
CHOSEN_FROM = range(20_000, 32_000)
"""Below the ports that Linux gives to outgoing connections (from 32768). A connection of another process could take a
port from that range before its server listens, and hold it for as long as it lasts."""
_RANDOM = SystemRandom()
"""Several programs choose at the same time, so no seed may give two of them the same ports."""


def free_ports(count: int, host: str = LOOPBACK) -> list[int]:
    """Ports that were free a moment ago. The caller must expect that another program takes one meanwhile."""
    found: list[int] = []
    with ExitStack() as probes:
        for port in _RANDOM.sample(CHOSEN_FROM, len(CHOSEN_FROM)):
            if len(found) == count:
                break
            probe = probes.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            with suppress(OSError):  # it is in use
                probe.bind((host, port))
                found.append(port)
    return found


def is_listening(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server accepts connections on this port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((host, port)) == 0
