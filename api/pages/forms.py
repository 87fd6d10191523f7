"""Forms of the page: read with limits, and refused without the token of the session.

The middleware has checked the origin of the request before (`api.access`). A form that changes something needs the
token too, so one mistake in either check lets no other site act.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import Depends, Request

from api.idempotency import Once
from api.pages.session import PageSession
from api.problem_codes import ProblemCode
from api.problems import Problem
from tables.database import Connection

FORM_TYPE = "application/x-www-form-urlencoded"
FIELDS_MAX = 50
TOKEN = "form_token"  # noqa: S105 - the name of a field
TOKEN_HEADER = "X-Form-Token"  # noqa: S105 - the name of a header
"""The same for a body that is a file."""
_OLD_FORM = "This form is out of date, so nothing was done. Go back, load the page again, and repeat."
SESSION = "campaigns.session"
"""The key of the session in the scope of a request."""
_ONCE = re.compile(r"[0-9a-f]{32}")


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


def once_of(form: Form, connection: Connection, content: object) -> Once:
    """What does the work of a form once, however often the browser sends it. `content`: what the form states."""
    key = form.text("once")
    known = f"page-{key}" if _ONCE.fullmatch(key) else None
    return Once(connection, known, hashlib.sha256(repr(content).encode("utf-8", "backslashreplace")).digest())


def once_key(values: Mapping[str, str]) -> str:
    """The key of a form: that of the form that is shown again, or a new one."""
    return values.get("once") or secrets.token_hex(16)


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
        raise Problem(ProblemCode.FOREIGN_ORIGIN, _OLD_FORM)
    return found


async def _upload(request: Request) -> None:
    if not session_of(request).accepts(request.headers.get(TOKEN_HEADER, "")):
        raise Problem(ProblemCode.FOREIGN_ORIGIN, _OLD_FORM)


UseSession = Annotated[PageSession, Depends(session_of)]
UseForm = Annotated[Form, Depends(_form)]
"""A form of this session."""
UseOpenForm = Annotated[Form, Depends(_open_form)]
"""A form that needs no session: the sign-in."""
UseUpload = Depends(_upload)
"""A body that is a file, sent by a page of this session. The route reads it."""
