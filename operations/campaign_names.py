"""Which campaign an operator means: an id, a unique end of an id as the tables show it, or a name."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from operations.options import InvalidOptions
from runtime.settings import Settings
from tables.campaign_names import NamedCampaign, find_named, find_similar
from tables.database import Connection, connect

ENDING_MIN = 4
"""Fewest characters of the end of an id. Shorter ones would often fit several campaigns."""
CANDIDATES_MAX = 20
_SIMILAR_MAX = 5
_ID_DIGITS = 32
_HEX = frozenset("0123456789abcdef")


class NotOneCampaign(InvalidOptions):
    """The text names no campaign, or several. The message lists the candidates."""


async def find_campaign(connection: Connection, text: str) -> NamedCampaign:
    """The one campaign that the text names. Raises NotOneCampaign."""
    wanted = text.strip()
    if not wanted or not _is_storable(wanted):
        raise NotOneCampaign("Give a campaign: its id, the end of its id, or its name. To see all: campaigns list")
    campaign_id, ending = parts_of(wanted)
    found = await find_named(connection, campaign_id=campaign_id, name=wanted, ending=ending, limit=CANDIDATES_MAX + 1)
    if len(found) == 1:
        return found[0]
    exact = [each for each in found if each.id == campaign_id]
    if exact:
        return exact[0]
    raise NotOneCampaign(_several(wanted, found) if found else await _none(connection, wanted))


async def find_all(connection: Connection, texts: Iterable[str]) -> list[NamedCampaign]:
    """The campaigns that the texts name, each once, in the given order. Raises NotOneCampaign for a wrong one."""
    found = [await find_campaign(connection, text) for text in texts]
    return list({each.id: each for each in found}.values())


async def campaign_id_of(settings: Settings, text: str | None) -> UUID | None:
    """The id of the campaign that an option names, or None without the option. Raises NotOneCampaign."""
    if text is None:
        return None
    async with await connect(settings.database_url.get_secret_value(), application_name="campaigns-find") as connection:
        return (await find_campaign(connection, text)).id


def parts_of(text: str) -> tuple[UUID | None, str]:
    """The text as a complete id, if it is one, and as the end of an id, or ''."""
    digits = text.lower().replace("-", "")
    if not set(digits) <= _HEX or len(digits) > _ID_DIGITS:
        return None, ""
    if len(digits) == _ID_DIGITS:
        return UUID(digits), ""
    return None, digits if len(digits) >= ENDING_MIN else ""


def _is_storable(text: str) -> bool:
    """Whether PostgreSQL can compare it with a name: no NUL, and no byte that was not UTF-8 on the command line."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _several(text: str, found: list[NamedCampaign]) -> str:
    lines = [
        f"  {each.id}  {each.status:<9}  created {each.created_at:%Y-%m-%d %H:%M}Z  {each.name}"
        for each in found[:CANDIDATES_MAX]
    ]
    if len(found) > CANDIDATES_MAX:
        lines.append("  ... and more")
    return "\n".join([f"{text!r} names several campaigns. Give the id of one, or the end of it:", *lines])


async def _none(connection: Connection, text: str) -> str:
    similar = await find_similar(connection, text, _SIMILAR_MAX)
    hint = f" Did you mean {', '.join(repr(each.name) for each in similar)}?" if similar else ""
    is_short = set(text.lower()) <= _HEX and len(text) < ENDING_MIN
    short = f" The end of an id has at least {ENDING_MIN} characters." if is_short else ""
    return f"There is no campaign {text!r}.{hint}{short} To see all: campaigns list"
