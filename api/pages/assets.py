"""Styles, scripts and vendored files of the page. Their addresses change with their content, so browsers keep them."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from types import MappingProxyType

from fastapi import APIRouter
from fastapi.responses import FileResponse

from api.pages.paths import STATIC

FOLDER = Path(__file__).with_name("static")
FILES = MappingProxyType(
    {
        "page.css": "text/css",
        "page.js": "text/javascript",
        "import.js": "text/javascript",
        "icon.svg": "image/svg+xml",
        "vendor/htmx.min.js": "text/javascript",
        "vendor/sse.min.js": "text/javascript",
        "vendor/uPlot.iife.min.js": "text/javascript",
        "vendor/uPlot.min.css": "text/css",
    }
)
"""Every file that is served, and its type."""
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "public, max-age=31536000, immutable",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}
"""A file that somebody opens as a page may do nothing."""

router = APIRouter(include_in_schema=False)


@cache
def address(name: str) -> str:
    """The address of a file, with a sum of its content."""
    assert name in FILES, name
    return f"{STATIC}/{name}?v={hashlib.sha256((FOLDER / name).read_bytes()).hexdigest()[:12]}"


def _serve(name: str, media_type: str) -> None:
    async def send_file() -> FileResponse:
        return FileResponse(FOLDER / name, media_type=media_type, headers=HEADERS)

    router.add_api_route(f"{STATIC}/{name}", send_file, methods=["GET"], name="send_asset")


for _name, _type in FILES.items():
    _serve(_name, _type)
