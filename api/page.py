"""The page at `/`: the newest campaigns and their progress, as plain HTML without a script.

It is for people, so every answer is a page, also without Postgres or without a key. It loads itself again, so that it
recovers without a person, unless a person has to do something first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from types import MappingProxyType

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from api.problem_codes import PROBLEMS, ProblemCode
from api.services import UseListConnection
from schemas.model import CampaignId
from schemas.stats import CampaignStats
from tables import campaigns, stats
from tables.campaign_names import short_id

PATH = "/"
CAMPAIGNS_MAX = 100
REFRESH_S = 5

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

_COLUMNS = (
    ("Id", lambda s: short_id(s.campaign_id)),
    ("Campaign", lambda s: s.campaign_name),
    ("Status", lambda s: s.status),
    ("Total", lambda s: s.total_target),
    ("Pending", lambda s: s.pending),
    ("Queued", lambda s: s.queued),
    ("Sent", lambda s: s.sent),
    ("Delivered", lambda s: s.delivered),
    ("Read", lambda s: s.read),
    ("Failed", lambda s: s.failed),
    ("Skipped", lambda s: s.skipped),
    ("Unknown", lambda s: s.unknown),
    ("Progress", lambda s: f"{s.progress_percentage} %"),
    ("Delivery", lambda s: f"{s.delivery_rate} %"),
    ("Read rate", lambda s: f"{s.read_rate} %"),
)

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; color-scheme: light dark }
table { border-collapse: collapse }
th, td { padding: .3rem .8rem; border-bottom: 1px solid #8884; text-align: right }
th:nth-child(-n+3), td:nth-child(-n+3) { text-align: left }
td:first-child { font-family: ui-monospace, monospace }
"""

_CHALLENGE = {"WWW-Authenticate": 'Basic realm="campaign-streams", charset="UTF-8"'}
_AGAIN = f"This page tries again every {REFRESH_S} seconds."
_SENTENCES: Mapping[ProblemCode, str] = MappingProxyType(
    {
        ProblemCode.UNAVAILABLE: "Postgres does not answer, so the progress cannot be shown. "
        f"`campaigns check` names the reason. {_AGAIN}",
        ProblemCode.INTERNAL_ERROR: f"The API failed. Its log has the reason. {_AGAIN}",
        ProblemCode.KEY_REQUIRED: "This page needs a key. Load it again, and enter one of CAMPAIGNS_API_KEYS as the "
        "password, with any user name.",
    }
)

router = APIRouter(include_in_schema=False)


@router.get(PATH)
async def page(connection: UseListConnection) -> HTMLResponse:
    """Show the newest campaigns."""
    found = await campaigns.newest(connection, CAMPAIGNS_MAX)
    ids = [CampaignId(each.id) for each in found]
    read = await stats.read(connection, ids)
    return HTMLResponse(render(read[each] for each in ids if each in read), headers=HEADERS)


def failure(code: ProblemCode) -> HTMLResponse:
    """The page when the campaigns cannot be shown. For want of a key, a browser asks the person for it."""
    status, meaning = PROBLEMS[code]
    body = f"<h1>Campaigns</h1><p>{escape(_SENTENCES.get(code, meaning))}</p>"
    challenge = _CHALLENGE if code is ProblemCode.KEY_REQUIRED else {}
    return HTMLResponse(_html(body, reloads=status >= 500), status, headers={**HEADERS, **challenge})


def render(campaigns_stats: Iterable[CampaignStats]) -> str:
    """The page as HTML. All text from users is escaped."""
    head = "".join(f"<th>{name}</th>" for name, _ in _COLUMNS)
    rows = [_row(each) for each in campaigns_stats]
    body = "".join(rows) or f'<tr><td colspan="{len(_COLUMNS)}">No campaigns yet.</td></tr>'
    return _html(f"<h1>Campaigns</h1><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")


def _html(body: str, *, reloads: bool = True) -> str:
    refresh = f'<meta http-equiv="refresh" content="{REFRESH_S}">' if reloads else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Campaigns</title>'
        f"{refresh}<style>{_STYLE}</style></head><body>{body}</body></html>"
    )


def _row(each: CampaignStats) -> str:
    return "<tr>" + "".join(f"<td>{escape(str(value(each)))}</td>" for _, value in _COLUMNS) + "</tr>"
