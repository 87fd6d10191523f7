"""The page of a request that failed: the sentence says what happened and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from fastapi.responses import HTMLResponse

from api.pages.paths import own_path
from api.pages.rendering import page
from api.pages.session import PageSession
from api.problem_codes import PROBLEMS, ProblemCode

REFRESH_S = 5
_AGAIN = f"This page tries again every {REFRESH_S} seconds."
_SENTENCES: Mapping[ProblemCode, str] = MappingProxyType(
    {
        ProblemCode.UNAVAILABLE: "Postgres does not answer, so the campaigns cannot be shown. "
        "`campaigns check` names the reason.",
        ProblemCode.INTERNAL_ERROR: "The API failed. Its log has the reason.",
        ProblemCode.NOT_FOUND: "There is no page at this address.",
        ProblemCode.UNKNOWN_CAMPAIGN: "There is no campaign at this address. Perhaps it was a draft that was deleted.",
        ProblemCode.UNKNOWN_RECIPIENT: "The campaign has no such person.",
    }
)


def failure(
    code: ProblemCode, detail: str | None = None, *, is_read: bool = True, session: PageSession | None = None
) -> HTMLResponse:
    """The answer to a request that failed. A page that was only read loads itself again after a failure of ours."""
    status, meaning = PROBLEMS[code]
    sentence = detail or _SENTENCES.get(code, meaning)
    reloads = is_read and status >= 500
    return page(
        "error.html",
        session=session,
        status=status,
        sentence=f"{sentence} {_AGAIN}" if reloads else sentence,
        code=code,
        refresh_s=REFRESH_S if reloads else None,
        is_read=is_read,
    )


def sign_in(path: str, *, refused: str = "", was_sent: bool = False, status: int = 401) -> HTMLResponse:
    """The form that takes a key, and then continues with the path. `was_sent`: a form was sent without a session."""
    return page(
        "sign_in.html",
        session=None,
        status=status,
        extra={"WWW-Authenticate": "Bearer"} if status == 401 else None,
        next_path=own_path(path),
        refused=refused,
        was_sent=was_sent,
    )
