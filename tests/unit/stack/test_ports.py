"""Free ports are outside of the range that outgoing connections get, and nobody listens on them."""

import socket

import pytest

from stack import ports
from stack.ports import CHOSEN_FROM, LOOPBACK, free_ports, is_listening


def test_ports_differ_and_are_in_the_range() -> None:
    found = free_ports(20)
    assert len(set(found)) == 20
    assert set(found) <= set(CHOSEN_FROM)


def test_a_port_that_is_in_use_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    used, free = free_ports(2)
    monkeypatch.setattr(ports, "CHOSEN_FROM", [used, free])
    with socket.socket() as server:
        server.bind((LOOPBACK, used))
        server.listen()
        assert is_listening(used)
        assert free_ports(1) == [free]
