"""The bodies of answers about recipients and imports, as pydantic models."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from api.given import Given
from domain.recipient_files.decoding import FileEncoding
from domain.status import Status
from schemas.reasons import LineRefusal, ParameterRefusal, RecipientRefusal


class InvalidRecipient(Given):
    """A recipient who was not added."""

    index: int
    """The position in the request, from 0."""
    field: str
    """The path of the wrong value in the recipient, such as `phone_number` or `template_parameters.2`."""
    value: str | bool | None
    """The number as it was given. A character that cannot be seen is shown by its code, as \\u202a."""
    reason: RecipientRefusal | ParameterRefusal
    """The code of the fault."""
    message: str
    """What is wrong, in a sentence."""


class RecipientsAdded(Given):
    """The result of adding recipients."""

    added: int
    """How many were added."""
    countries: dict[str, int]
    """The added ones by the country of their number."""
    duplicates: list[InvalidRecipient]
    """Recipients who are in the campaign or earlier in the request, also in another spelling."""
    invalid: list[InvalidRecipient]
    """Recipients who cannot be added."""


class RefusedLine(Given):
    """A line of an imported file that was not added."""

    line: int
    """The line of the file, from 1."""
    field: str
    """The path of the wrong value in the recipient, or `line`."""
    value: str | bool | None
    """The number as it was given, or the start of the line."""
    reason: RecipientRefusal | ParameterRefusal | LineRefusal
    """The code of the fault."""
    message: str
    """What is wrong, in a sentence."""


class RecipientsImported(Given):
    """The result of an import."""

    lines: int
    """The lines with a recipient."""
    added: int
    """How many recipients were added."""
    countries: dict[str, int]
    """The added ones by the country of their number."""
    duplicates: int
    """Lines whose person is in the campaign or earlier in the file."""
    refused: int
    """Lines that cannot be added."""
    first_duplicates: list[RefusedLine]
    """The first 100 duplicates."""
    first_refused: list[RefusedLine]
    """The first 100 refused lines. `answer=refused_lines` gives all of them."""
    encoding: FileEncoding
    """The encoding that was found."""
    delimiter: str | None
    """The delimiter that was found; null for JSON lines."""
    phone_column: str | None
    """The column of the phone numbers; null for JSON lines."""
    parameter_columns: dict[str, str]
    """Each template parameter with its column."""
    unused_columns: list[str]
    """Columns that were not read."""
    decimal_comma_columns: list[str]
    """Columns of numbers with a decimal comma. Their texts are sent as they are written."""


class RecipientOut(Given):
    """One recipient of a campaign."""

    id: UUID
    """The id of the row."""
    campaign_id: UUID
    """The campaign."""
    phone_number: str | None
    """The number that is dialled: digits only. Null: the message is sent to the user id."""
    user_id: str | None
    """The business-scoped user id of WhatsApp, if the recipient was added with one."""
    status: Status
    """The status, computed from the facts."""
    whatsapp_message_id: str | None
    """WhatsApp's id of the message (wamid)."""
    scheduled_send_date: datetime | None
    """The planned time of the first attempt."""
    sent_at: datetime | None
    """When the message was sent."""
    delivered_at: datetime | None
    """When it was delivered."""
    read_at: datetime | None
    """When it was read."""
    failed_at: datetime | None
    """When the last failure happened."""
    failure_reason: str | None
    """Why the last attempt failed, or why the recipient was skipped."""
    retry_count: int
    """Failed attempts that count."""
    max_retries: int
    """Failures after which no further attempt is made."""
    template_parameters: list[Any] | dict[str, Any] | None
    """The parameters in their stored form. Numbers are texts."""
    created_at: datetime
    """When the recipient was added."""
    updated_at: datetime
    """When the row last changed."""
    attempt: int
    """The number of the latest released attempt, or 0."""
    failure_code: int | None
    """Meta's code of the last failure."""
    next_attempt_at: datetime | None
    """When the recipient is due, or null if nothing is due."""
    person: str
    """The canonical key of the person. All spellings of a number have the same."""


class RecipientsOut(Given):
    """A page of recipients, in the order in which they were added."""

    recipients: list[RecipientOut]
    """The recipients of the page."""
    next: UUID | None = None
    """`after` of the next page, or null on the last page."""
