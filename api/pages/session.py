"""Sessions of the page: a signed cookie that expires, and the token of its forms. Pure.

The cookie does not contain the API key. Its signature is made with a secret that is derived from the key. So every API
process with the same keys accepts it, and a key that leaves the settings ends its sessions.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

COOKIE = "campaigns_session"
LIFETIME_S = 12 * 3600
"""A working day. After it the page takes the key again."""
_COOKIE_CHARACTERS_MAX = 200
_PARTS = 3


@dataclass(frozen=True, slots=True)
class PageSession:
    """One sign-in. Without API keys, `key` is a secret of the process, and all pages share one session."""

    key: bytes = field(repr=False)
    nonce: str = field(repr=False)
    is_signed_in: bool = True
    """Whether there is a cookie that a sign-out deletes."""

    @property
    def form_token(self) -> str:
        """The hidden field that each form of this session has. Another site cannot read or guess it."""
        return _signature(self.key, "form", self.nonce)

    def accepts(self, token: str) -> bool:
        """Whether a form of this session was sent."""
        return hmac.compare_digest(self.form_token.encode(), token.encode("utf-8", "replace"))


def issue(key: bytes, nonce: str, now_s: int) -> str:
    """The cookie of a new session. `nonce`: a random text of letters and digits."""
    expires_at = now_s + LIFETIME_S
    return f"{expires_at}.{nonce}.{_signature(key, 'session', f'{expires_at}.{nonce}')}"


def read(cookie: str, keys: Sequence[bytes], now_s: int) -> PageSession | None:
    """The session of a cookie that one of these keys has signed and that has not expired, or None."""
    parts = cookie.split(".")
    if len(cookie) > _COOKIE_CHARACTERS_MAX or not cookie.isascii() or len(parts) != _PARTS:
        return None
    expires_at, nonce, signature = parts
    # Every key is compared, so that the time does not reveal the key that matches.
    signers = [
        key
        for key in keys
        if hmac.compare_digest(_signature(key, "session", f"{expires_at}.{nonce}").encode(), signature.encode())
    ]
    if not signers or not expires_at.isdecimal() or int(expires_at) <= now_s:
        return None
    return PageSession(signers[0], nonce)


def _signature(key: bytes, purpose: str, text: str) -> str:
    secret = hmac.digest(key, b"campaign-streams page", hashlib.sha256)
    return hmac.new(secret, f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()
