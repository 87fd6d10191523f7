"""The ceiling: the server of the ingress with an app that checks the signature, answers 200, and stores nothing."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.ingress.posts import SECRET
from runtime.http import serve

HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"2")]


async def app(scope, receive, send):  # type: ignore[no-untyped-def]
    """Check and answer one request."""
    chunks = []
    while True:
        message = await receive()
        chunks.append(message["body"])
        if not message["more_body"]:
            break
    signature = next((value for name, value in scope["headers"] if name == b"x-hub-signature-256"), b"")
    expected = b"sha256=" + hmac.digest(SECRET, b"".join(chunks), hashlib.sha256).hex().encode()
    status = 200 if hmac.compare_digest(signature, expected) else 403
    await send({"type": "http.response.start", "status": status, "headers": HEADERS})
    await send({"type": "http.response.body", "body": b"ok"})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(serve(app, "127.0.0.1", parser.parse_args().port, asyncio.Event(), interface="asginl"))
