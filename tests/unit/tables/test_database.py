"""A check of the database has a time limit."""

from __future__ import annotations

import socket
import threading

from runtime.settings import Settings
from tables import database

NOWHERE = "127.0.0.1:1"
SETTINGS = Settings.model_validate(
    {"kafka_bootstrap_servers": NOWHERE, "database_url": f"postgresql://x@{NOWHERE}/x", "stall_limit_s": 1.2}
)
DEADLINE_S = 20.0


def test_a_database_that_hangs_after_its_greeting_does_not_block_the_watchdog() -> None:
    """Without a time limit, a server that hangs after its greeting would block the watchdog forever."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []

        def greet() -> None:
            client, _ = server.accept()
            held.append(client)
            client.recv(4096)
            client.sendall(b"R\0\0\0\x08\0\0\0\0" + b"Z\0\0\0\x05I")

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
