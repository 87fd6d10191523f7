"""The events that a control request can send, with the settings of each.

Each is one webhook with one change. The names of the fields in webhooks are in `simulator/events/people.py` and
`simulator/events/business.py`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from simulator.config import StrictModel, TemplateCategory

WaId = Annotated[str, Field(pattern=r"^\+?[1-9][0-9]{5,14}$")]
MessageKind = Literal[
    "text", "button", "button_reply", "list_reply", "flow_reply", "image", "video", "audio", "document", "sticker",
    "location", "contacts", "reaction", "order", "unsupported",
]  # fmt: skip
Quality = Literal["GREEN", "YELLOW", "RED", "UNKNOWN"]
TemplateEventName = Literal[
    "APPROVED", "ARCHIVED", "DELETED", "DISABLED", "FLAGGED", "IN_APPEAL", "LIMIT_EXCEEDED", "LOCKED", "PAUSED",
    "PENDING", "PENDING_DELETION", "REINSTATED", "REJECTED", "UNARCHIVED",
]  # fmt: skip


class PersonEvent(StrictModel):
    """An event of a person. `number` is the WhatsApp id; None for a person who is known by a user id alone."""

    number: WaId | None = None
    user_id: str | None = None
    """None: the user id of the number."""
    username: str | None = None
    hides_number: bool = False
    """Whether the webhook has no number, as for people with a username (Meta's page "Business-scoped user IDs")."""
    phone_number_id: str | None = None
    """The number of the business. None: the first known one."""
    timestamp: int | None = None
    """Unix seconds. None: now."""

    @model_validator(mode="after")
    def _require_person(self) -> Self:
        if self.number is None and self.user_id is None:
            raise ValueError("a person has a number or a user_id")
        return self


class InboundMessage(PersonEvent):
    """A message from a person."""

    type: MessageKind = "text"
    text: str = "Hello"
    """The text, the title of a button or of a row, the emoji of a reaction, the caption, or the name of a place."""
    payload: str | None = None
    """The payload of a template's button, or the id of a reply. None: the text."""
    reply_to: str | None = None
    """The wamid of the message that is answered. None: no context, except for a reaction."""
    mime_type: str | None = None
    """None: a usual type of the kind of medium."""
    content: str = "simulated medium"
    """The bytes of the medium, as text."""
    filename: str = "document.pdf"
    latitude: float = 52.5
    longitude: float = 13.4
    response: dict[str, Any] = Field(default_factory=dict)
    """What a flow returned."""
    error_code: int = 131051
    """The code of an unsupported message."""


class PreferenceChange(PersonEvent):
    """A person stops or resumes marketing messages."""

    value: Literal["stop", "resume", "signup"] = "stop"
    category: str = "marketing_messages"
    detail: str | None = None
    signup_id: str | None = None


class IdentityChange(PersonEvent):
    """A person changes the number, or gets another user id."""

    type: Literal["user_changed_number", "user_changed_user_id"] = "user_changed_number"
    new_number: WaId | None = None
    new_user_id: str | None = None
    """None: the user id of the new number."""

    @model_validator(mode="after")
    def _require_new(self) -> Self:
        if self.type == "user_changed_number" and self.new_number is None:
            raise ValueError("user_changed_number needs new_number")
        if self.type == "user_changed_user_id" and self.new_user_id is None:
            raise ValueError("user_changed_user_id needs new_user_id")
        return self


class TemplateEvent(StrictModel):
    """An event of a template. A template that the account does not have is added, so that sends see the event."""

    name: str
    language: str = "en_US"
    timestamp: int | None = None


class TemplateStatusChange(TemplateEvent):
    """The status of a template changes. Sends with it are refused from then on, or accepted again."""

    event: TemplateEventName = "PAUSED"
    reason: str = "NONE"
    title: Literal["FIRST_PAUSE", "SECOND_PAUSE", "RATE_LIMITING_PAUSE", "UNPAUSE", "DISABLED"] | None = None
    """None: the usual one of the event, if it has one."""


class TemplateQualityChange(TemplateEvent):
    """The quality of a template changes."""

    quality: Quality = "RED"


class TemplateCategoryChange(TemplateEvent):
    """The category of a template changes, now or, with `is_impending`, in a month."""

    category: TemplateCategory = "MARKETING"
    is_impending: bool = False


class TemplateComponentsChange(TemplateEvent):
    """Somebody edited a template."""

    components: tuple[dict[str, Any], ...]


class BusinessEvent(StrictModel):
    """An event of the account or of a number. `value` overrides the usual values, and may add others."""

    value: dict[str, Any] = Field(default_factory=dict)
    timestamp: int | None = None


class AccountUpdate(BusinessEvent):
    """The account is restricted, banned, reinstated, ..."""

    event: str = "ACCOUNT_RESTRICTION"


class NumberQualityChange(BusinessEvent):
    """The quality or the limit of a number changes."""

    event: Literal["FLAGGED", "UNFLAGGED", "UPGRADE", "DOWNGRADE", "ONBOARDING", "THROUGHPUT_UPGRADE"] = "FLAGGED"
    current_limit: str = "TIER_2K"
    old_limit: str = "TIER_10K"
    quality: Quality | None = None
    """The quality that reads of the number show from then on. None: as before."""
    phone_number_id: str | None = None
    """The number. None: that of `display_phone_number`, and `quality` holds for all numbers without their own."""


class RawEvent(StrictModel):
    """Any webhook: `value` is sent as it is. `time` is absent in webhooks of the field `messages`."""

    field: str
    value: dict[str, Any]
    timestamp: int | None = None
