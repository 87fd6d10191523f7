"""The connection of a sink: it shows that Postgres has answered before the answer is read."""

from __future__ import annotations

import select

from runtime.settings import Settings
from sinks.connection import SinkConnection


async def test_an_answer_is_shown_until_it_is_read(settings: Settings) -> None:
    of_sink = SinkConnection(settings)
    assert not of_sink.has_answer(), "it is not open"
    connection = await of_sink.get()
    assert not of_sink.has_answer()
    connection.pgconn.send_query(b"SELECT 1")
    readable, _, _ = select.select([connection.pgconn.socket], (), (), 30)
    assert readable
    assert of_sink.has_answer()
    while connection.pgconn.get_result() is not None:
        pass
    assert not of_sink.has_answer()
    await of_sink.close()
    assert not of_sink.has_answer()
