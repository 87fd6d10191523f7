"""The ceiling: the server of the ingress with a handler that checks the signature, answers 200, and stores nothing."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import uvloop

from bench.ingress.posts import SECRET
from producers.ingress.replies import ACCEPTED, FAILED, UNSIGNED
from producers.ingress.request import Request
from producers.ingress.server import serve_webhooks
from producers.ingress.signature import SignatureCheck
from runtime.collector import collecting_rarely

BODY_S = 20.0


class Bare:
    """Checks and answers. See `request.RequestHandler`."""

    def begin(self, request: Request) -> None:
        """Let the body come."""

    def receive(self, request: Request, count: int) -> None:
        """Let the rest come."""

    def complete(self, request: Request) -> None:
        """Check the signature."""
        expected = b"sha256=" + hmac.digest(SECRET, request.body, hashlib.sha256).hex().encode()
        is_genuine = hmac.compare_digest(request.headers.get(b"x-hub-signature-256", b""), expected)
        request.answer(ACCEPTED if is_genuine else UNSIGNED[SignatureCheck.MISMATCH])

    def abandon(self, request: Request, *, is_slow: bool) -> None:
        """Nothing is held for it."""

    def fail(self, request: Request) -> None:
        """Refuse it."""
        request.answer(FAILED)


async def main(port: int) -> None:
    """Serve until the process is ended."""
    with collecting_rarely():
        await serve_webhooks(Bare(), "127.0.0.1", port, asyncio.Event(), BODY_S)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(parser.parse_args().port))
