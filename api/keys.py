"""The API keys of an installation."""

from __future__ import annotations

import hmac
from collections.abc import Sequence


def matching_key(keys: Sequence[bytes], given: str) -> bytes | None:
    """The key that a client has given, if it is one of these.

    Every key is compared, so that the time does not reveal the key that matches.
    """
    matches = [key for key in keys if hmac.compare_digest(given.encode(), key)]
    return matches[0] if matches else None
