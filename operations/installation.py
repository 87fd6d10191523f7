"""The secrets of an installation in containers: made at random at its first start, and kept.

Nobody has to invent them, and no published one exists. A value of the environment always wins. Without an access token
the simulator replaces WhatsApp, and the values that belong to it are added; with one they are left out, so that a real
token never goes to a simulator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from runtime.settings import PREFIX, InvalidSettings
from runtime.settings_rules import SIMULATED_ACCOUNT_ID

KEPT = ("CALLBACK_SECRET", "WEBHOOK_VERIFY_TOKEN", "API_KEYS", "READER_PASSWORD")
"""Made in every installation. The callback secret may never change, because it checks the statuses of old messages."""
SIMULATED = ("WHATSAPP_ACCESS_TOKEN", "WEBHOOK_APP_SECRETS")
"""Made only for a simulator. With WhatsApp they come from Meta."""
SIMULATOR_TIME_SCALE = 4.0
"""Simulated people read messages within seconds, not minutes."""
READER_PASSWORD = "READER_PASSWORD"  # noqa: S105 - the name of one
DATABASE_PASSWORD = "DATABASE_PASSWORD"  # noqa: S105 - the name of one
SIMULATED_NUMBER_ID = "106540352242922"
SIMULATED_TIME_SCALE = "100"
"""Backoffs of hours pass within minutes, because nobody is held up by a simulator."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of the parts in the network of the containers."""

    database: str
    """Of Postgres, with the user and without a password."""
    simulator: str
    webhook: str
    """Where the simulator sends webhooks."""


@dataclass(frozen=True, slots=True)
class Installation:
    """What is written for the containers."""

    kept: Mapping[str, str]
    """Every secret that was ever made, by its name without the prefix."""
    variables: Mapping[str, str]
    """The variables for the processes. The environment lacks each of them."""
    simulator: Mapping[str, object]
    """The configuration of the simulator; empty if there is none."""


def is_simulated(given: Mapping[str, str]) -> bool:
    """Whether the simulator replaces WhatsApp."""
    return not given.get(f"{PREFIX}WHATSAPP_ACCESS_TOKEN", "").strip()


def install(
    given: Mapping[str, str], known: Mapping[str, str], addresses: Addresses, new: Callable[[], str]
) -> Installation:
    """Complete the `given` environment from the `known` secrets, and from `new` ones.

    Raises InvalidSettings if a real access token comes without the app secret, which only Meta knows.
    """
    simulated = is_simulated(given)
    if not simulated and not given.get(f"{PREFIX}WEBHOOK_APP_SECRETS", "").strip():
        raise InvalidSettings(
            f"{PREFIX}WEBHOOK_APP_SECRETS: is not set, but {PREFIX}WHATSAPP_ACCESS_TOKEN is: give the app secret of "
            "Meta's dashboard, or every webhook is refused"
        )
    names = (*KEPT, *SIMULATED, DATABASE_PASSWORD)
    kept = {**known, **{name: new() for name in names if name not in known}}
    made = {name: kept[name] for name in KEPT}
    made["DATABASE_URL"] = _with_password(addresses.database, kept[DATABASE_PASSWORD])
    if simulated:
        made |= {name: kept[name] for name in SIMULATED}
        made |= {
            "WHATSAPP_API_URL": addresses.simulator,
            "WHATSAPP_PHONE_NUMBER_ID": SIMULATED_NUMBER_ID,
            "WHATSAPP_ACCOUNT_ID": SIMULATED_ACCOUNT_ID,
            "TIME_SCALE": SIMULATED_TIME_SCALE,
        }
    variables = {f"{PREFIX}{name}": value for name, value in made.items() if f"{PREFIX}{name}" not in given}
    return Installation(kept, variables, _simulator({**variables, **given}, addresses) if simulated else {})


def _simulator(variables: Mapping[str, str], addresses: Addresses) -> dict[str, object]:
    return {
        "webhook_url": addresses.webhook,
        "app_secret": variables[f"{PREFIX}WEBHOOK_APP_SECRETS"].split(",")[0].strip(),
        "access_token": variables[f"{PREFIX}WHATSAPP_ACCESS_TOKEN"],
        "time_scale": SIMULATOR_TIME_SCALE,
    }


def _with_password(address: str, password: str) -> str:
    parts = urlsplit(address)
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@{host}"))
