"""Signed webhooks to post, prepared before a run. Every body is different, so that each can be found again."""

from __future__ import annotations

import hashlib
import hmac

import orjson

SECRET = b"bench-app-secret"
PATH = b"/webhooks/whatsapp"


def bodies(count: int, statuses: int, run: str) -> list[bytes]:
    """So many webhook bodies with so many statuses each, of the shape that Meta sends."""
    mark = "number-of-body"
    pieces = orjson.dumps(_webhook(statuses, run + mark)).split(mark.encode())
    return [(b"%012d" % number).join(pieces) for number in range(count)]


def request(body: bytes, port: int) -> bytes:
    """The bytes of one POST."""
    signature = hmac.digest(SECRET, body, hashlib.sha256).hex().encode()
    return (
        b"POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: facebookexternalua\r\nAccept: */*\r\n"
        b"Content-Type: application/json\r\nX-Hub-Signature-256: sha256=%s\r\nContent-Length: %d\r\n\r\n%s"
        % (PATH, port, signature, len(body), body)
    )


def _webhook(statuses: int, unique: str) -> object:
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550783881", "phone_number_id": "106540352242922"},
        "statuses": [_status(f"{unique}{index:06d}") for index in range(statuses)],
    }
    change = {"value": value, "field": "messages"}
    return {"object": "whatsapp_business_account", "entry": [{"id": "102290129340398", "changes": [change]}]}


def _status(unique: str) -> object:
    return {
        "id": f"wamid.HBgLMTY0NjcwNDM1OTUVAgARGBI{unique}",
        "status": "delivered",
        "timestamp": "1767225605",
        "recipient_id": "16505551234",
        "conversation": {"id": "7e8c1f0d2b3a4c5d", "origin": {"type": "marketing"}},
        "pricing": {"billable": True, "pricing_model": "PMP", "category": "marketing", "type": "regular"},
    }
