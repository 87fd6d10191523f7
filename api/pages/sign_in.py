"""The routes that begin and end a session."""

from __future__ import annotations

import secrets
import time

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from api.keys import matching_key
from api.pages import failures, session
from api.pages.forms import UseForm, UseOpenForm
from api.pages.paths import HOME, SIGN_IN, SIGN_OUT, own_path
from api.services import UseServices

REFUSED = "This is not a key of this installation. The keys are in its setting CAMPAIGNS_API_KEYS."

router = APIRouter(include_in_schema=False)
log = structlog.get_logger("api")


@router.get(SIGN_IN)
async def show_sign_in(services: UseServices) -> Response:
    """Show the form. Without keys there is nothing to sign in to."""
    if not services.settings.api_keys:
        return RedirectResponse(HOME, 303)
    return failures.sign_in(HOME, status=200)


@router.post(SIGN_IN)
async def begin_session(request: Request, form: UseOpenForm, services: UseServices) -> Response:
    """Exchange a key for a session. The cookie is for this site only, and no script can read it."""
    key = matching_key([each.get_secret_value().encode() for each in services.settings.api_keys], form.text("key"))
    next_path = own_path(form.text("next"))
    if key is None:
        log.warning("a sign-in to the page was refused")
        return failures.sign_in(next_path, refused=REFUSED)
    answer = RedirectResponse(next_path, 303)
    answer.set_cookie(
        session.COOKIE,
        session.issue(key, secrets.token_hex(16), int(time.time())),
        max_age=session.LIFETIME_S,
        path="/",
        secure=is_encrypted(request),
        httponly=True,
        samesite="strict",
    )
    return answer


@router.post(SIGN_OUT)
async def end_session(_form: UseForm) -> Response:
    """Delete the cookie."""
    answer = RedirectResponse(SIGN_IN, 303)
    answer.delete_cookie(session.COOKIE, path="/", httponly=True, samesite="strict")
    return answer


def is_encrypted(request: Request) -> bool:
    """Whether the browser uses https, as we see it or as a proxy reports it. The cookie is then never sent without."""
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", ""))
