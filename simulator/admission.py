"""Decides which sends the API takes, and which of them fail later for certain."""

from __future__ import annotations

import time
from collections.abc import Mapping

from simulator.access import GraphAccess
from simulator.account import Account
from simulator.checks.fits import check_fit, find_sendable
from simulator.checks.messages import check_message
from simulator.checks.refusals import GraphRefusal, Refused, value_invalid, with_code
from simulator.config import SimulatorConfig
from simulator.faults import Faults
from simulator.heads import SendHead
from simulator.ledger import LedgerEntry
from simulator.numbers import is_of_the_us
from simulator.plan import THROUGHPUT_CODE
from simulator.portfolio import LIMIT_CODE, WINDOW_S, PortfolioLimit
from simulator.sends import Send
from simulator.wamids import user_id_of

PAIR_CODE = 131056
OWN_NUMBER_CODE = 131021
US_MARKETING_CODE = 131049
STOPPED_CODE = 131050
MEDIA_CODE = 131053
WINDOW_CODE = 131047


class Admission:
    """Judges sends by the account, the settings and the rates."""

    def __init__(self, config: SimulatorConfig, account: Account, access: GraphAccess, faults: Faults) -> None:
        self._config = config
        self._account = account
        self._access = access
        self._faults = faults
        limit = config.portfolio_limit
        self._portfolio = None if limit is None else PortfolioLimit(limit, WINDOW_S / config.time_scale)

    def category_of(self, send: Send) -> str:
        """The category of the template of a send in small letters, or `service` for a send without a template."""
        if send.type != "template":
            return "service"
        template = self._account.templates.find(send.template or "", send.language or "")
        return template.category.lower() if template is not None else self._config.statuses.category

    def access_refusal(self, head: SendHead) -> GraphRefusal | None:
        """The error of the version, the token or the sending number, or None."""
        number = head.phone_number_id
        return self._access.refusal_of(head.path, head.version, number, head.token) or self._access.unknown_number(
            number, "POST"
        )

    def send_refusal(self, body: Mapping[str, object], entry: LedgerEntry) -> GraphRefusal | None:
        """The error of the message itself, of its template, or of a rate, or None."""
        send = entry.send
        try:
            check_message(body, entry.endpoint, self._account.media)
            if send.group is not None and not self._account.groups.has(send.group):
                raise value_invalid("Recipient is not a group of this number")
            if send.number == self._config.display_of(entry.phone_number_id).lstrip("+"):
                return GraphRefusal(OWN_NUMBER_CODE)
            if send.type == "template":
                self._check_template(body, entry)
        except Refused as refused:
            return refused.refusal
        if not self._faults.within_rate(entry.phone_number_id):
            return GraphRefusal(THROUGHPUT_CODE)
        person = send.group or _person_of(entry)
        if not self._faults.within_pair_rate(entry.phone_number_id, person):
            return GraphRefusal(PAIR_CODE)
        if self._portfolio is not None and send.group is None and not self._has_window(person):
            return None if self._portfolio.allows(person, time.time()) else GraphRefusal(LIMIT_CODE)
        return None

    def certain_code(self, entry: LedgerEntry) -> int | None:
        """The code with which every such message fails after it was accepted, or None.

        Marketing does not reach people who stopped it (131050, Meta's page "user_preferences"), or the United States
        (131049, its page "Per-user marketing template message limits"). Free-form messages need an open window
        (131047), if the settings require it. A medium must have a type of its kind of message (131053).
        """
        send = entry.send
        if send.media_id is not None and not self._account.media.fits(send.type, send.media_id):
            return MEDIA_CODE
        if send.group is not None:
            return None
        if entry.category == "marketing":
            if self._account.stopped and _person_of(entry) in self._account.stopped:
                return STOPPED_CODE
            if not self._config.us_marketing and is_of_the_us(send.number):
                return US_MARKETING_CODE
        if entry.category == "service" and self._config.service_window:
            return None if self._has_window(_person_of(entry)) else WINDOW_CODE
        return None

    def _has_window(self, user_id: str) -> bool:
        """Whether the person wrote in the last 24 hours."""
        wrote_at = self._account.wrote_at.get(user_id)
        return wrote_at is not None and time.time() - wrote_at < WINDOW_S

    def _check_template(self, body: Mapping[str, object], entry: LedgerEntry) -> None:
        """Raises Refused if the template does not exist, is not sendable here, or has other parameters."""
        send = entry.send
        template = find_sendable(self._account.templates, send.template or "", send.language or "")
        if entry.endpoint == "messages" and self._config.marketing_endpoint_only and entry.category == "marketing":
            raise with_code(131063, "")
        if entry.endpoint == "marketing_messages" and template is not None and template.category != "MARKETING":
            raise with_code(134100, "")
        if not send.to and template is not None and template.category == "AUTHENTICATION":
            raise with_code(131062, "Authentication templates cannot be sent to a business-scoped user ID")
        if template is not None:
            content = body["template"]
            check_fit(template, (content.get("components") or ()) if isinstance(content, dict) else ())


def _person_of(entry: LedgerEntry) -> str:
    """The user id of the recipient, whether the message was sent to it or to the number."""
    return entry.send.user_id or user_id_of(entry.wa_id)
