"""Did Meta write these bytes? HMAC-SHA256 over the raw body, in constant time, with every secret in use.

Fails closed: without a secret nothing is genuine. The body is not parsed here; whoever parses first has lost.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from enum import StrEnum

PREFIX = b"sha256="
_HEX_LENGTH = 64
_NON_ASCII = re.compile(r"[^\x00-\x7f]")


class SignatureCheck(StrEnum):
    """The closed set of answers."""

    GENUINE = "genuine"
    MISSING = "signature_missing"
    MISMATCH = "signature_mismatch"


def check(secrets: Sequence[bytes], header: bytes | None, body: bytes) -> SignatureCheck:
    """Compare `X-Hub-Signature-256` with the body under every secret (several while one is being replaced)."""
    if not header or not header.startswith(PREFIX) or len(header) != len(PREFIX) + _HEX_LENGTH:
        return SignatureCheck.MISSING
    claimed = header[len(PREFIX) :].lower()
    if _matches(secrets, claimed, body):
        return SignatureCheck.GENUINE
    escaped = None if body.isascii() else escape_unicode(body)
    if escaped is not None and _matches(secrets, claimed, escaped):
        return SignatureCheck.GENUINE
    return SignatureCheck.MISMATCH


def sign(secret: bytes, body: bytes) -> bytes:
    """The header's value for a body."""
    return PREFIX + _digest(secret, body)


def escape_unicode(body: bytes) -> bytes | None:
    """The body with `\\uXXXX` for each non-ASCII character: the form that Meta says it signs. None: not UTF-8."""
    try:
        return _NON_ASCII.sub(_escaped, body.decode()).encode()
    except UnicodeDecodeError:
        return None


def _escaped(found: re.Match[str]) -> str:
    units = found.group().encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _matches(secrets: Sequence[bytes], claimed: bytes, body: bytes) -> bool:
    # A list, not a generator: every secret is compared, so time tells nothing about which one fits.
    return any([hmac.compare_digest(_digest(secret, body), claimed) for secret in secrets])  # noqa: C419


def _digest(secret: bytes, body: bytes) -> bytes:
    return hmac.digest(secret, body, hashlib.sha256).hex().encode()
