"""A stand-in for the Cloud API that is much faster than a sender: it accepts every message after 50 to 250 ms.

The product's simulator checks each message as Meta does, and would be slower than the sender that is measured. This
one reads the few fields that it needs with a regular expression, in one loop without any framework. It keeps each post
with the time of its arrival, so a message that was posted twice shows.

    GET /count   the number of posts so far
    GET /posts   all posts, as JSON: [callback data, id of the number, wamid, seconds on the monotonic clock]

A process of its own: python stand_in.py --port 8002
"""

from __future__ import annotations

import argparse
import json
import random
import re
import select
import socket
import time
from itertools import cycle

FIRST_DELAY_S, LAST_DELAY_S = 0.05, 0.25
TICK_S = 0.001
BACKLOG = 4096
READ_BYTES = 64 * 1024
HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_POST = re.compile(rb"POST /v[0-9.]+/([0-9]+)/messages ")
_TO = re.compile(rb'"to": ?"([0-9]+)"')
_CALLBACK = re.compile(rb'"biz_opaque_callback_data": ?"([^"]+)"')
_BODY = (
    b'{"messaging_product":"whatsapp","contacts":[{"input":"%s","wa_id":"%s"}],'
    b'"messages":[{"id":"%s","message_status":"accepted"}]}'
)
_ANSWER = b"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"


class AcceptingServer:
    """Serves until it is ended. Answers wait in one queue for each tick of the clock."""

    def __init__(self, port: int, seed: int = 1) -> None:
        self._listening = socket.create_server(("127.0.0.1", port), backlog=BACKLOG)
        self._listening.setblocking(False)
        self._epoll = select.epoll()
        self._epoll.register(self._listening, select.EPOLLIN)
        self._connections: dict[int, socket.socket] = {}
        self._read: dict[int, bytes] = {}
        """The beginning of a request whose rest has not come."""
        ticks = int(LAST_DELAY_S / TICK_S) + 1
        self._due: list[list[tuple[int, bytes]]] = [[] for _ in range(ticks)]
        """Answers by the tick at which they are due: a wheel that turns once in the longest delay."""
        self._tick = 0
        self._waiting = 0
        self._posts: list[tuple[bytes, bytes, str, float]] = []
        draw = random.Random(seed)  # noqa: S311 - delays are no secret
        # A draw for each post would cost a fifth of its time.
        self._delays = cycle([draw.randint(int(FIRST_DELAY_S / TICK_S), ticks - 1) for _ in range(10_007)])

    def serve(self) -> None:
        """Serve for ever."""
        started = time.monotonic()
        while True:
            timeout_s = TICK_S if self._waiting else 1.0
            for fd, _ in self._epoll.poll(timeout_s):
                if fd == self._listening.fileno():
                    self._accept()
                else:
                    self._receive(fd)
            self._answer_until(int((time.monotonic() - started) / TICK_S))

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except BlockingIOError:
                return
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections[connection.fileno()] = connection
            self._read[connection.fileno()] = b""
            self._epoll.register(connection, select.EPOLLIN)

    def _receive(self, fd: int) -> None:
        try:
            data = self._connections[fd].recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(fd)
            return
        if self._read[fd]:
            data = self._read[fd] + data
        end = data.find(HEAD_END)
        length = _LENGTH.search(data, 0, end) if end >= 0 else None
        if end < 0 or len(data) < end + len(HEAD_END) + (int(length[1]) if length else 0):
            self._read[fd] = data
            return
        self._read[fd] = b""
        self._take(fd, data)

    def _take(self, fd: int, request: bytes) -> None:
        post = _POST.match(request)
        callback = _CALLBACK.search(request) if post else None
        to = _TO.search(request) if callback else None
        if post is None or callback is None or to is None:
            self._send(fd, self._control(request))
            return
        wamid = f"wamid.{len(self._posts):09d}"
        self._posts.append((callback[1], post[1], wamid, time.monotonic()))
        body = _BODY % (to[1], to[1], wamid.encode())
        place = (self._tick + next(self._delays)) % len(self._due)
        self._due[place].append((fd, _ANSWER % (200, b"OK", len(body), body)))
        self._waiting += 1

    def _control(self, request: bytes) -> bytes:
        path = request.split(b" ", 2)[1]
        if path == b"/count":
            body = b"%d" % len(self._posts)
        elif path == b"/posts":
            body = json.dumps([(data.decode(), number.decode(), *rest) for data, number, *rest in self._posts]).encode()
        else:
            return _ANSWER % (404, b"Not Found", 0, b"")
        return _ANSWER % (200, b"OK", len(body), body)

    def _answer_until(self, tick: int) -> None:
        """Answer everything that was due by this tick. A late loop misses no tick."""
        while self._tick < tick:
            self._tick += 1
            place = self._tick % len(self._due)
            if due := self._due[place]:
                self._due[place] = []
                self._waiting -= len(due)
                for fd, answer in due:
                    self._send(fd, answer)

    def _send(self, fd: int, answer: bytes) -> None:
        connection = self._connections.get(fd)
        if connection is None:
            return
        try:
            sent = connection.send(answer)
            if sent < len(answer):  # the list of all posts only
                connection.setblocking(True)
                connection.sendall(answer[sent:])
                connection.setblocking(False)
        except OSError:
            self._close(fd)

    def _close(self, fd: int) -> None:
        self._epoll.unregister(fd)
        self._connections.pop(fd).close()
        self._read.pop(fd, None)


def main() -> None:
    """Serve on the given port."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    AcceptingServer(parser.parse_args().port).serve()


if __name__ == "__main__":
    main()
