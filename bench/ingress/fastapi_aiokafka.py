"""A webhook receiver as most teams write it: FastAPI, aiokafka, one record for each body, awaited with acks=all.

It runs in an environment of its own, and imports nothing of the product.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from aiokafka import AIOKafkaProducer
from fastapi import FastAPI, Request, Response

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--kafka", required=True)
parser.add_argument("--topic", required=True)
parser.add_argument("--secret", required=True)
options = parser.parse_args()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Keep one producer for all requests."""
    async with AIOKafkaProducer(
        bootstrap_servers=options.kafka, acks="all", compression_type="lz4", max_request_size=4 * 1024 * 1024
    ) as producer:
        app.state.producer = producer
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/webhooks/whatsapp")
async def webhook(request: Request) -> Response:
    """Check the signature, store the body, and answer."""
    body = await request.body()
    expected = "sha256=" + hmac.new(options.secret.encode(), body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(request.headers.get("x-hub-signature-256", ""), expected):
        return Response(status_code=403)
    await app.state.producer.send_and_wait(options.topic, body)
    return Response(content="ok")


uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="warning", access_log=False)
