"""The paths of the page. Everything else of the API is for programs."""

from __future__ import annotations

HOME = "/"
SIGN_IN = "/sign-in"
SIGN_OUT = "/sign-out"
LIVE = "/live"
STATIC = "/static"
CAMPAIGNS = "/campaigns"
_PREFIXES = (CAMPAIGNS, SIGN_IN, SIGN_OUT, LIVE, STATIC)


def is_page(path: str) -> bool:
    """Whether a browser loads this path, so that every answer to it is for a person."""
    return path == HOME or any(path == each or path.startswith(f"{each}/") for each in _PREFIXES)


def is_open(path: str) -> bool:
    """Whether the path needs no key: the form that takes one, and files that contain no data."""
    return path == SIGN_IN or path.startswith(f"{STATIC}/")


def own_path(given: str) -> str:
    """A path of the page to continue with. Any other text becomes the list: it might lead to another site."""
    path = given.partition("?")[0]
    is_safe = given.isascii() and given.isprintable() and not given.startswith("//") and "\\" not in given
    return given if is_safe and is_page(path) and not is_open(path) else HOME
