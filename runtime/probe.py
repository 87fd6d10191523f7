"""`python -m runtime.probe [address]`: the health check of a container. It exits with 0 if the address answers 200.

It imports the standard library only, because it runs every few seconds beside each process.
"""

from __future__ import annotations

import sys
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

DEFAULT = "http://127.0.0.1:9100/health"
TIMEOUT_S = 4.0


def is_well(address: str) -> bool:
    """Whether a GET of the address answers 200 within `TIMEOUT_S`."""
    parts = urlsplit(address)
    connection = HTTPConnection(parts.hostname or "", parts.port or 80, timeout=TIMEOUT_S)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(not is_well(sys.argv[1] if len(sys.argv) > 1 else DEFAULT))
