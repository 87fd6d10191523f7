"""The paths of the page. Everything else of the API is for programs."""

from __future__ import annotations

HOME = "/"
SIGN_IN = "/sign-in"
SIGN_OUT = "/sign-out"
LIVE = "/live"
STATIC = "/static"
CAMPAIGNS = "/campaigns"
_ACTS = frozenset({"activate", "pause", "resume", "preview"})
"""Ends of paths that a form is sent to and that show no page."""
_PREFIXES = (CAMPAIGNS, SIGN_IN, SIGN_OUT, LIVE, STATIC)


def is_page(path: str) -> bool:
    """Whether a browser loads this path, so that every answer to it is for a person."""
    return path == HOME or any(path == each or path.startswith(f"{each}/") for each in _PREFIXES)


def is_open(path: str) -> bool:
    """Whether the path needs no key: the form that takes one, and files that contain no data."""
    return path == SIGN_IN or path.startswith(f"{STATIC}/")


def form_page(path: str) -> str:
    """The page with the form that is sent to this path, to continue with after a sign-in."""
    page, _, act = path.rpartition("/")
    if path == SIGN_OUT:
        return HOME
    return page if act in _ACTS else path


def own_path(given: str) -> str:
    """A path of the page to continue with. Any other text becomes the list: it might lead to another site."""
    path = given.partition("?")[0]
    is_safe = given.isascii() and given.isprintable() and not given.startswith("//") and "\\" not in given
    return given if is_safe and is_page(path) and not is_open(path) else HOME
