"""Templates, and the headers of every page. All text in a template is escaped."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from api.pages import paths
from api.pages.assets import address
from api.pages.session import PageSession

TEMPLATES = Path(__file__).with_name("templates")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def number(value: int) -> str:
    """A count with separators of thousands."""
    return f"{value:,}"


def money(amount: str) -> str:
    """An amount of the API with separators of thousands and two decimals."""
    return f"{Decimal(amount):,.2f}"


def percent(value: float) -> str:
    """A percentage with one decimal, and without a decimal that is zero."""
    return f"{value:.1f}".removesuffix(".0") + " %"


def rate(per_s: float) -> str:
    """A speed. A slow one has a decimal."""
    return f"{per_s:,.0f}" if per_s >= 10 or per_s == 0 else f"{per_s:.1f}"


def moment(at: datetime, form: str = "clock") -> Markup:
    """A time for people: UTC as it is sent, which the script turns into local time with UTC as its title.

    `form`: `clock` (a time of today, or else with the date), `second` (the same with seconds), or `date`.
    """
    utc = at.astimezone(UTC)
    text = f"{utc:%Y-%m-%d %H:%M:%S}" if form == "second" else f"{utc:%Y-%m-%d %H:%M}"
    return Markup('<time datetime="{}" data-form="{}">{} UTC</time>').format(f"{utc:%Y-%m-%dT%H:%M:%SZ}", form, text)


def _environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"number": number, "money": money, "percent": percent, "rate": rate}
    found.globals |= {"moment": moment, "asset": address, "paths": paths}
    return found


ENVIRONMENT = _environment()


def html(template: str, **values: Any) -> str:
    """The text of a template, for a whole page or a part of one."""
    return ENVIRONMENT.get_template(template).render(values)


def page(
    template: str, *, session: PageSession | None, status: int = 200, extra: dict[str, str] | None = None, **values: Any
) -> HTMLResponse:
    """A whole page. `session` gives its forms their token; `extra` are further headers."""
    body = html(template, form_token="" if session is None else session.form_token, session=session, **values)
    return HTMLResponse(body, status, headers={**HEADERS, **(extra or {})})
