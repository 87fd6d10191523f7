"""Posts prepared requests over keep-alive connections and measures the answers: one thread, raw sockets, one epoll.

A generator shares the machine with the server that it measures, so it must cost little. It parses no more of an answer
than the status and the length. Each connection has one request in flight.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

ANSWER_BYTES_MAX = 4096
"""Bytes of an answer that are read at a time. To allocate more would cost more than to read twice."""
LATE_ANSWER_S = 30.0
"""A request that gets no answer within this time ends the run."""


@dataclass(frozen=True, slots=True)
class HttpLoad:
    """How requests are posted. `rate`: requests a second, by a fixed schedule; None: as fast as the answers come."""

    host: str
    port: int
    connections: int
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class HttpAnswers:
    """The result of a run. A latency counts from the scheduled time, so that a stalled server cannot hide."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    by_status: dict[str, int]
    accepted: list[int]
    """The positions of the requests that got 200."""


class _Connection:
    __slots__ = ("buffer", "due", "position", "rest", "sock")

    def __init__(self, address: tuple[str, int]) -> None:
        self.sock = socket.create_connection(address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.buffer = b""
        self.rest: memoryview | None = None
        self.position = -1
        self.due = 0.0


def post_all(load: HttpLoad, requests: Sequence[bytes]) -> HttpAnswers:
    """Post every request once and return the answers. Raises TimeoutError when one gets none."""
    return _Run(load, requests).run()


class _Run:
    def __init__(self, load: HttpLoad, requests: Sequence[bytes]) -> None:
        self._load = load
        self._requests = requests
        self._latencies = [0.0] * len(requests)
        self._statuses: list[int] = [0] * len(requests)
        self._next = 0
        self._answered = 0
        self._selector = selectors.DefaultSelector()
        self._usual: dict[int, int] = {}

    def run(self) -> HttpAnswers:
        address = (self._load.host, self._load.port)
        count = min(self._load.connections, len(self._requests))
        connections = [_Connection(address) for _ in range(count)]
        for each in connections:
            self._selector.register(each.sock, selectors.EVENT_READ, each)
        began = time.perf_counter()
        try:
            self._post(list(connections), began)
        finally:
            self._selector.close()
            for each in connections:
                each.sock.close()
        return self._answers(time.perf_counter() - began)

    def _post(self, idle: list[_Connection], began: float) -> None:
        total, rate = len(self._requests), self._load.rate
        last = began
        while self._answered < total:
            now = time.perf_counter()
            while idle and self._next < total:
                due = began + self._next / rate if rate else now
                if due > now:
                    break
                self._send(idle.pop(), due)
            wait_s = LATE_ANSWER_S
            if rate and idle and self._next < total:
                wait_s = max(0.0, began + self._next / rate - time.perf_counter())
            for key, mask in self._selector.select(wait_s):
                connection: _Connection = key.data
                if mask & selectors.EVENT_WRITE:
                    self._write(connection)
                if mask & selectors.EVENT_READ and self._read(connection):
                    last = time.perf_counter()
                    idle.append(connection)
            if time.perf_counter() - last > LATE_ANSWER_S:
                raise TimeoutError(f"{total - self._answered} of {total} requests got no answer")

    def _send(self, connection: _Connection, due: float) -> None:
        connection.position, connection.due = self._next, due
        request = self._requests[self._next]
        self._next += 1
        sent = self._try(connection, request)
        if sent < len(request):
            connection.rest = memoryview(request)[sent:]
            self._selector.modify(connection.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, connection)

    def _write(self, connection: _Connection) -> None:
        assert connection.rest is not None
        connection.rest = connection.rest[self._try(connection, connection.rest) :]
        if not connection.rest:
            connection.rest = None
            self._selector.modify(connection.sock, selectors.EVENT_READ, connection)

    @staticmethod
    def _try(connection: _Connection, data: bytes | memoryview) -> int:
        try:
            return connection.sock.send(data)
        except BlockingIOError:
            return 0

    def _read(self, connection: _Connection) -> bool:
        """Read what has come. Returns whether the answer is complete."""
        data = connection.sock.recv(ANSWER_BYTES_MAX)
        if not data:
            raise ConnectionError("the server closed a connection")
        if connection.buffer:
            data = connection.buffer + data
        status = int(data[9:12]) if len(data) >= 12 else 0
        if self._usual.get(status) != len(data):  # answers of one status mostly have one length
            length = _length(data)
            if length is None or len(data) < length:
                connection.buffer = data
                return False
            self._usual[status] = length
        connection.buffer = b""
        self._statuses[connection.position] = status
        self._latencies[connection.position] = time.perf_counter() - connection.due
        self._answered += 1
        return True

    def _answers(self, seconds: float) -> HttpAnswers:
        ordered = sorted(self._latencies)
        return HttpAnswers(
            len(ordered),
            seconds,
            ordered[len(ordered) // 2] * 1e3,
            ordered[int(len(ordered) * 0.99)] * 1e3,
            ordered[-1] * 1e3,
            {str(status): count for status, count in Counter(self._statuses).items()},
            [position for position, status in enumerate(self._statuses) if status == 200],
        )


def _length(data: bytes) -> int | None:
    """The length of the whole answer; None if its head is not complete."""
    head, found, _ = data.partition(b"\r\n\r\n")
    if not found:
        return None
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return len(head) + 4 + int(value)
    return len(head) + 4
