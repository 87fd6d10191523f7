"""The page at `/docs`: Swagger UI with our OpenAPI document, from files of this package only.

A browser cannot send a key with the address of a page, so the page and the document need none. They contain nothing but
the shape of the API. A request that is sent from the page needs the key, which a person enters there.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse

FOLDER = Path(__file__).with_name("swagger_ui")
ASSETS = ("swagger-ui.css", "swagger-ui-bundle.js", "start.js")
PUBLIC_PATHS = frozenset({"/docs", "/openapi.json", *(f"/docs/{name}" for name in ASSETS)})
"""They need no key. Without keys they are for this machine only, as everything else is."""

PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>API of campaign-streams</title>'
    '<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">'
    '<link rel="stylesheet" href="/docs/swagger-ui.css"></head><body><div id="swagger-ui"></div>'
    "<noscript>This page needs JavaScript. The document is at /openapi.json.</noscript>"
    '<script src="/docs/swagger-ui-bundle.js"></script><script src="/docs/start.js"></script></body></html>'
)
HEADERS = {
    # Swagger UI has no inline script. It draws its icons from data: addresses, and sets styles by script.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def show_documentation() -> HTMLResponse:
    """Show the operations of the API."""
    return HTMLResponse(PAGE, headers=HEADERS)


def _serve(name: str) -> None:
    async def send_file() -> FileResponse:
        return FileResponse(FOLDER / name, headers=HEADERS)

    router.add_api_route(f"/docs/{name}", send_file, methods=["GET"], include_in_schema=False)


for _name in ASSETS:
    _serve(_name)
