"""A wrong parameter of the database address is named at the start, and not taken for a server that is away."""

from __future__ import annotations

from pathlib import Path

import pytest

from tables.database_parameters import wrong_parameters


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({"connect_timeout": "5s"}, "connect_timeout expects a whole number"),
        ({"keepalives_idle": ""}, "keepalives_idle expects a whole number"),
        ({"sslmode": "verify_full"}, "sslmode must be one of disable, allow, prefer, require, verify-ca, verify-full"),
        ({"target_session_attrs": "standby"}, "target_session_attrs must be one of any, read-write, primary"),
        ({"sslrootcert": "/none/hunter2"}, "sslrootcert names a file that cannot be read"),
    ],
)
def test_a_wrong_value_is_named_by_its_parameter(parts: dict[str, str], problem: str) -> None:
    assert list(wrong_parameters(parts)) == [problem]


def test_right_values_pass(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.touch()
    right = {"connect_timeout": " 5", "keepalives": "1", "sslmode": "verify-full", "sslrootcert": str(file)}
    assert list(wrong_parameters({**right, "host": "h", "target_session_attrs": "primary"})) == []
    assert list(wrong_parameters({"sslrootcert": "system"})) == []
