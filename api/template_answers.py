"""The bodies of answers about templates, as pydantic models."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from api.answers import CampaignOut, RetriedOut
from api.given import Given
from domain.lifecycle import CampaignStatus
from domain.status import Status
from schemas.reasons import ParameterMisfit, TemplateFault


class TemplateOut(Given):
    """One message template in one language."""

    name: str
    """The name."""
    language: str
    """The language, as en or en_US."""
    status: str
    """Meta's word, such as APPROVED, PAUSED or REJECTED. Meta sends approved templates only."""
    category: str
    """Meta's word: MARKETING, UTILITY or AUTHENTICATION."""
    quality: str
    """GREEN, YELLOW, RED or UNKNOWN."""
    is_named: bool
    """Whether the parameters have names. Otherwise they have numbers."""
    parameters: list[str]
    """The names that columns of an imported file can have: those of the body, then those of header and buttons."""
    rejected_for: str | None
    """Why Meta rejected it."""
    components: list[dict[str, Any]]
    """The components as Meta describes them."""


class TemplatesOut(Given):
    """The templates of the account that pass the filters, in the order of name and language."""

    templates: list[TemplateOut]
    """The templates of the page."""
    next: str | None = None
    """`after` of the next page, or null on the last page."""


class ButtonOut(Given):
    """A button as a person sees it."""

    kind: str
    """Meta's word in small letters, such as quick_reply or url."""
    text: str
    """The label."""
    target: str
    """The address, the code that is copied, the phone number, or the payload of a quick reply."""


class PreviewOut(Given):
    """A message, or a card of a carousel, as a person reads it. A variable without a parameter stays as it is."""

    header: str | None
    """The text of the header, or its medium in brackets."""
    body: str | None
    """The text."""
    footer: str | None
    """The text below."""
    buttons: list[ButtonOut]
    """The buttons in their order."""
    cards: list[PreviewOut]
    """The cards of a carousel."""


class MisfitOut(Given):
    """One thing that does not fit the template."""

    reason: ParameterMisfit
    """The code."""
    field: str
    """The place in the parameters."""
    detail: str
    """What is wrong, in a sentence."""


class FilledTemplateOut(Given):
    """A template, filled with the parameters of one recipient."""

    template: TemplateOut
    """The template."""
    preview: PreviewOut
    """The message."""
    lines: list[str]
    """The message as lines of text."""
    misfits: list[MisfitOut]
    """Why Meta would refuse the message. Empty if it fits."""
    recipient_id: UUID | None = None
    """The recipient; null for parameters of the request."""


class FindingOut(Given):
    """One thing that is wrong with the template itself."""

    fault: TemplateFault
    """The code."""
    detail: str
    """What is wrong, in a sentence."""
    refuses: bool
    """Whether Meta would refuse every message. Otherwise it is a warning."""


class MisfitCountOut(MisfitOut):
    """How many recipients have one misfit."""

    recipients: int
    """The recipients."""


class MisfitLineOut(Given):
    """A recipient whose parameters do not fit."""

    recipient_id: UUID
    """The recipient."""
    phone_number: str
    """The number that is dialled."""
    misfits: list[MisfitOut]
    """The reasons."""


class TemplateCheckOut(Given):
    """A campaign compared with its template."""

    refuses: bool
    """Whether Meta would refuse some or all messages. An activation is refused then, unless it says otherwise."""
    findings: list[FindingOut]
    """What is wrong with the template itself."""
    compared: int
    """Recipients whose parameters were compared."""
    misfitting: int
    """Those that do not fit."""
    counts: list[MisfitCountOut]
    """The recipients by misfit. One recipient may have several."""
    lines: list[MisfitLineOut]
    """The first 20 recipients that do not fit."""


class ActivatedOut(CampaignOut):
    """The activated campaign."""

    template_check: TemplateCheckOut | None = None
    """What the template check found: warnings only. Null if it was not made."""


class ResumedOut(CampaignOut):
    """The resumed campaign."""

    retried: RetriedOut | None = None
    """The failed recipients that get the message again, if the request has `retry_failed`."""
    template_check: TemplateCheckOut | None = None
    """What the template check found: warnings only. Null if it was not made."""


class TestMessageOut(Given):
    """One message of a test."""

    __test__ = False  # pytest takes classes of this name for tests

    recipient_id: UUID
    """The row of the number in the test."""
    phone_number: str
    """The number that is dialled."""
    status: Status
    """What became of it. A person who has opted out is `skipped`."""
    failure_code: int | None
    """Meta's code of a failure."""
    failure_reason: str | None
    """Why it failed or was skipped."""
    whatsapp_message_id: str | None
    """WhatsApp's id of the message (wamid)."""
    sent_at: datetime | None
    """When it was sent."""
    delivered_at: datetime | None
    """When it was delivered."""
    read_at: datetime | None
    """When it was read."""


class TestSendOut(Given):
    """A test of a campaign: a campaign of its own with a message for each number."""

    __test__ = False  # pytest takes classes of this name for tests

    id: UUID
    """The id of the test. It is the id of a campaign, whose routes work for it."""
    test_of: UUID
    """The campaign whose message is tested."""
    status: CampaignStatus
    """`completed` once every message has an outcome."""
    pause_reason: str | None
    """Why it is paused."""
    created_at: datetime
    """When it was started."""
    messages: list[TestMessageOut]
    """The messages."""


class TestSendsOut(Given):
    """The newest tests of a campaign, the newest first."""

    __test__ = False  # pytest takes classes of this name for tests

    tests: list[TestSendOut]
    """The tests."""
