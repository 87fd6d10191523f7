"""Checks the version in the path, the access token and the ids of numbers, as the Graph API does for each request.

Source: Meta's pages "Graph API: versions" and "Graph API: handling errors". An unknown version is an unknown path.
"""

from __future__ import annotations

import hmac

from simulator.checks.refusals import GraphRefusal
from simulator.config import SimulatorConfig

TOKEN_CODE = 190
UNKNOWN_PATH_CODE = 2500
SCHEMES = ("bearer", "oauth")
"""The page "Resumable Upload API" has the second one."""


class GraphAccess:
    """The access that the settings allow."""

    def __init__(self, config: SimulatorConfig) -> None:
        self._config = config
        self._token = config.access_token.get_secret_value().encode() if config.access_token else None
        self._own = {number: token.get_secret_value().encode() for number, token in config.number_tokens.items()}

    def refusal_of(self, path: str, version: str | None, object_id: str, token: str) -> GraphRefusal | None:
        """The error of the version or of the token, or None. The object is that of the path."""
        if version is not None and version not in self._config.versions:
            return unknown_path(path)
        expected = self._own.get(object_id, self._token)
        if not token or not (expected is None or hmac.compare_digest(token.encode(), expected)):
            return GraphRefusal(TOKEN_CODE, "Invalid OAuth access token - Cannot parse access token", status=401)
        return None

    def unknown_number(self, phone_number_id: str, method: str) -> GraphRefusal | None:
        """The error for a number that the account does not have, or None."""
        known = self._config.phone_number_ids
        return None if known is None or phone_number_id in known else unknown_object(phone_number_id, method)


def token_of(authorization: str, in_query: str) -> str:
    """The token in the header, or in the query, where the Graph API also takes it; empty if none is readable."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() not in SCHEMES:
        token = "" if scheme else in_query
    return token if all("!" <= character <= "~" for character in token) else ""


def unknown_object(object_id: str, method: str) -> GraphRefusal:
    """Code 100 with subcode 33: there is no such object."""
    message = (
        f"Unsupported {method.lower()} request. Object with ID '{object_id}' does not exist, "
        "cannot be loaded due to missing permissions, or does not support this operation"
    )
    return GraphRefusal(100, message, subcode=33, kind="GraphMethodException", status=400)


def unknown_path(path: str) -> GraphRefusal:
    """Code 2500: there is no such path or version."""
    return GraphRefusal(UNKNOWN_PATH_CODE, f"Unknown path components: {path}", status=400)
