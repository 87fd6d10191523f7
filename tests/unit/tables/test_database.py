"""Every connection has the user's options, ours, and a limit; an address that is wrong never shows."""

from __future__ import annotations

import socket
import struct
import threading
import traceback
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from runtime.settings import InvalidSettings, Settings
from tables import database

NOWHERE = "127.0.0.1:1"
SETTINGS = Settings.model_validate(
    {"kafka_bootstrap_servers": NOWHERE, "database_url": f"postgresql://x@{NOWHERE}/x", "stall_limit_s": 1.2}
)
DEADLINE_S = 20.0
WRITABLE = b"".join(
    b"S" + struct.pack("!i", 4 + len(pair)) + pair
    for pair in (b"server_version\x0016\0", b"default_transaction_read_only\0off\0", b"in_hot_standby\0off\0")
)
"""What a server that takes writes states in its greeting."""


def test_a_database_that_hangs_after_its_greeting_does_not_block_the_watchdog() -> None:
    """Without a time limit, a server that hangs after its greeting would block the watchdog forever."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []

        def greet() -> None:
            client, _ = server.accept()
            held.append(client)
            client.recv(4096)
            client.sendall(b"R\0\0\0\x08\0\0\0\0" + WRITABLE + b"Z\0\0\0\x05I")

        threading.Thread(target=greet, daemon=True).start()
        url = f"postgresql://x@127.0.0.1:{server.getsockname()[1]}/x?sslmode=disable&gssencmode=disable"
        answers: list[bool] = []
        check = database.answering(SETTINGS.model_copy(update={"database_url": type(SETTINGS.database_url)(url)}))
        thread = threading.Thread(target=lambda: answers.append(check()), daemon=True)
        thread.start()
        thread.join(DEADLINE_S)
        for client in held:
            client.close()
        assert answers == [True]


def parts(url: str, **given: Any) -> dict[str, Any]:
    return conninfo_to_dict(database.connection_info(url, "campaigns-test", **given))


def test_the_users_options_and_ours_both_hold() -> None:
    made = parts("postgresql://h/d?options=-c%20search_path%3Dtwo", session={"lock_timeout": "1s"})
    assert made["options"] == ("-c statement_timeout=30000 -c search_path=two -c timezone=UTC -c lock_timeout=1s")
    assert (made["application_name"], made["target_session_attrs"]) == ("campaigns-test", "read-write")


def test_the_users_time_outs_win_over_our_general_ones_only() -> None:
    url = "postgresql://h/d?connect_timeout=9&keepalives_idle=60&options=-c%20statement_timeout%3D5s"
    made = parts(url)
    assert (made["connect_timeout"], made["keepalives_idle"]) == ("9", "60")
    assert made["options"].endswith("-c statement_timeout=5s -c timezone=UTC")
    needed = parts(url, statement_timeout_s=1.0)["options"]
    assert needed == "-c statement_timeout=5s -c timezone=UTC -c statement_timeout=1000"


@pytest.mark.parametrize("url", ["postgresql://h/d", "postgresql://h/d?connect_timeout=0", "host=h dbname=d"])
def test_no_connection_waits_for_ever(url: str) -> None:
    assert parts(url)["connect_timeout"] == "5"


def test_a_value_with_a_space_stays_one_option() -> None:
    made = parts("postgresql://h/d", session={"search_path": "two, three"})
    assert made["options"].endswith(r"-c search_path=two,\ three")


@pytest.mark.parametrize(
    ("options", "given", "limit_s"),
    [
        ("", {}, 33.0),
        ("-c statement_timeout=2s", {}, 5.0),
        ("-cstatement_timeout=5min", {}, 303.0),
        ("--statement_timeout=700", {}, 3.7),
        ("-c statement_timeout=0", {}, None),
        ("-c statement_timeout=odd", {}, None),
        ("-c statement_timeout=0", {"statement_timeout_s": 1.0}, 4.0),
        ("", {"statement_timeout_s": database.UNLIMITED_S}, None),
    ],
)
def test_the_client_waits_a_little_longer_than_the_server(
    options: str, given: dict[str, Any], limit_s: float | None
) -> None:
    info = database.connection_info(make_conninfo("host=h", options=options), "campaigns-test", **given)
    assert database.answer_limit_s(info) == limit_s


@pytest.mark.parametrize("url", ["postgresql://u:hunter2@h/d?nonsense=1", "password='hunter2", "host=h hunter2"])
def test_an_address_that_libpq_refuses_is_not_shown(url: str) -> None:
    with pytest.raises(InvalidSettings, match=r"^CAMPAIGNS_DATABASE_URL: libpq cannot read") as wrong:
        database.connection_info(url, "campaigns-test")
    assert "hunter2" not in "".join(traceback.format_exception(wrong.value))
