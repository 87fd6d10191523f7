"""Forms of the page: read with limits, and refused without the token of the session.

The middleware has checked the origin of the request before (`api.access`). A form that changes something needs the
token too, so one mistake in either check lets no other site act.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import Depends, Request

from api.pages.session import PageSession
from api.problem_codes import ProblemCode
from api.problems import Problem

FORM_TYPE = "application/x-www-form-urlencoded"
FIELDS_MAX = 50
TOKEN = "form_token"  # noqa: S105 - the name of a field
SESSION = "campaigns.session"
"""The key of the session in the scope of a request."""


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form as texts."""

    fields: Mapping[str, Sequence[str]] = field(repr=False)

    def text(self, name: str) -> str:
        """The value of a field without white space around it; empty if it is missing."""
        return self.fields.get(name, [""])[0].strip()

    def optional(self, name: str) -> str | None:
        """The same, with None for an empty field."""
        return self.text(name) or None


def session_of(request: Request) -> PageSession:
    """The session of a page. The middleware has refused requests without one."""
    found = request.scope[SESSION]
    assert isinstance(found, PageSession)
    return found


async def _open_form(request: Request) -> Form:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM_TYPE:
        raise Problem(ProblemCode.UNSUPPORTED_MEDIA_TYPE, "The page takes forms only.")
    try:
        text = (await request.body()).decode()
        return Form(parse_qs(text, keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict"))
    except ValueError:
        raise Problem(ProblemCode.BAD_REQUEST, "The form cannot be read.") from None


async def _form(request: Request) -> Form:
    found = await _open_form(request)
    if not session_of(request).accepts(found.text(TOKEN)):
        detail = "This form is out of date, so nothing was done. Go back, load the page again, and repeat."
        raise Problem(ProblemCode.FOREIGN_ORIGIN, detail)
    return found


UseSession = Annotated[PageSession, Depends(session_of)]
UseForm = Annotated[Form, Depends(_form)]
"""A form of this session."""
UseOpenForm = Annotated[Form, Depends(_open_form)]
"""A form that needs no session: the sign-in."""
