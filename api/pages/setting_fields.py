"""The settings of a campaign as fields of a form: their labels, and how a text in a field becomes a value. Pure.

The rules for values are those of the REST API. A field only turns a text into what a program would send, and leaves a
text that is no such value as it is, so that the REST API's own words refuse it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from domain.exclusions import ExcludedRecipients
from domain.windows import WEEK, WindowZone

DIGITS_MAX = 15
"""Longer numbers stay texts, which the REST API refuses."""
YES, NO = "yes", "no"
_WHOLE = re.compile(rf"[0-9]{{1,{DIGITS_MAX}}}")
_NUMBER = re.compile(rf"[0-9]{{1,{DIGITS_MAX}}}(\.[0-9]{{1,{DIGITS_MAX}}})?")


class FieldKind(StrEnum):
    """What a text in a field means."""

    TEXT = "text"
    OPTIONAL = "optional"
    """A text; null without one."""
    COUNTRY = "country"
    """The same, in capital letters."""
    WHOLE = "whole"
    """A whole number; null without one."""
    NUMBER = "number"
    YES_NO = "yes_no"
    DAYS = "days"
    LINES = "lines"
    """One text a line."""


@dataclass(frozen=True, slots=True)
class SettingField:
    """One setting in a form."""

    name: str
    label: str
    hint: str = ""
    kind: FieldKind = FieldKind.TEXT
    options: tuple[tuple[str, str], ...] = ()
    """The values that can be chosen, each with its words. Without them the field takes a text."""
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class FormSection:
    """Settings about one thing."""

    title: str
    """Empty: they are always shown."""
    fields: tuple[SettingField, ...]


_YES_NO = ((YES, "Yes"), (NO, "No"))
_OPTIONAL, _WHOLE_KIND, _NUMBER_KIND = FieldKind.OPTIONAL, FieldKind.WHOLE, FieldKind.NUMBER
DAY_WORDS = dict(zip(WEEK, ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"), strict=True))

SECTIONS = (
    FormSection("", (
        SettingField("name", "Name", "For you and your colleagues. The people who get the message do not see it.",
                     is_required=True),
        SettingField("template_name", "Template",
                     "The name of a template that WhatsApp has approved, such as summer_sale_2026.", is_required=True),
        SettingField("language_code", "Language", "The language of the template, such as en or pt_BR.",
                     is_required=True),
        SettingField("daily_send_limit", "Most messages a day", "Without a number there is no limit.", _WHOLE_KIND),
    )),
    FormSection("Number and country", (
        SettingField("phone_number_id", "Sending number", "The Cloud API's id of the number.", _OPTIONAL),
        SettingField("country", "Country", "Numbers without a country code are numbers of this country, such as DE.",
                     FieldKind.COUNTRY),
        SettingField("endpoint", "Endpoint", "Where messages are posted. marketing_messages takes marketing templates.",
                     _OPTIONAL, (("", "As the settings say"), ("messages", "messages"),
                                 ("marketing_messages", "marketing_messages"))),
    )),
    FormSection("When it sends", (
        SettingField("time_zone", "Time zone", "A day begins at midnight there, such as America/Sao_Paulo."),
        SettingField("window_days", "Days", kind=FieldKind.DAYS),
        SettingField("window_from", "From", "A local time, such as 09:00.", _OPTIONAL),
        SettingField("window_to", "Until", "A local time, such as 20:00. 24:00 is the end of the day.", _OPTIONAL),
        SettingField("window_zone", "By the clocks of", options=(
            (WindowZone.CAMPAIGN.value, "the time zone of the campaign"),
            (WindowZone.RECIPIENT.value, "the country of each person"),
        )),
        SettingField("quiet_from", "Quiet from", "Hours inside the window without messages.", _OPTIONAL),
        SettingField("quiet_to", "Quiet until", "They may pass midnight.", _OPTIONAL),
        SettingField("start_at", "Nothing before",
                     "A time with its offset from UTC, such as 2027-03-01T09:00+01:00.", _OPTIONAL),
        SettingField("stale_after_hours", "Hours without sending",
                     "It is paused if nothing could be sent for so long. Without a number it is not.", _WHOLE_KIND),
    )),
    FormSection("First people and limits", (
        SettingField("canary", "Send to some people first", kind=FieldKind.YES_NO, options=_YES_NO),
        SettingField("canary_percent", "Share of the first people", "In percent, such as 1.", _NUMBER_KIND),
        SettingField("canary_min", "Fewest first people", "", _WHOLE_KIND),
        SettingField("canary_max", "Most first people", "", _WHOLE_KIND),
        SettingField("canary_wait_minutes", "Minutes for their outcomes", "", _WHOLE_KIND),
        SettingField("failure_limit_percent", "Pause above failures", "In percent. 100 never pauses.", _NUMBER_KIND),
        SettingField("opt_out_limit_percent", "Pause above opt-outs", "In percent. 100 never pauses.", _NUMBER_KIND),
        SettingField("block_limit_percent", "Pause above blocked people", "In percent. 100 never pauses.",
                     _NUMBER_KIND),
        SettingField("unknown_limit_percent", "Pause above unknown outcomes", "In percent. 100 never pauses.",
                     _NUMBER_KIND),
    )),
    FormSection("Who gets no message", (
        SettingField("frequency_capped", "Keep to the frequency cap", kind=FieldKind.YES_NO, options=_YES_NO),
        SettingField("cap_wait_days", "Days to wait for the cap", "0 skips people above the cap at once.", _WHOLE_KIND),
        SettingField("exclude_campaigns", "People of other campaigns",
                     "The id or the name of each campaign whose people are left out, one a line.", FieldKind.LINES),
        SettingField("exclude_recipients", "Which of their people", options=(
            (ExcludedRecipients.ALL.value, "all"),
            (ExcludedRecipients.SENT.value, "those who were sent a message"),
            (ExcludedRecipients.DELIVERED.value, "those who got it"),
            (ExcludedRecipients.READ.value, "those who read it"),
        )),
    )),
)  # fmt: skip
FIELDS: Mapping[str, SettingField] = {field.name: field for section in SECTIONS for field in section.fields}


def sections_with(numbers: Collection[str], default_number: str) -> tuple[FormSection, ...]:
    """The sections, with the numbers that can be chosen, if the settings name them."""
    known = tuple((each, f"{each} (usual)" if each == default_number else each) for each in numbers)
    return tuple(
        FormSection(section.title, tuple(_number(each, known, default_number) for each in section.fields))
        for section in SECTIONS
    )


def _number(field: SettingField, known: tuple[tuple[str, str], ...], default_number: str) -> SettingField:
    if field.name != "phone_number_id":
        return field
    hint = f"{field.hint} Without it, {default_number} sends." if default_number and not known else field.hint
    return replace(field, hint=hint, options=known, is_required=not default_number)


def texts_in(fields: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The texts of the settings that a form has. A form with a window and no day names no day."""
    found = {name: fields[name][0].strip() for name in FIELDS if fields.get(name) and name != "window_days"}
    if "window_days" in fields or "window_from" in fields:
        found["window_days"] = ",".join(fields.get("window_days", ()))
    return found


def value_of(name: str, text: str) -> Any:
    """The value of a setting as a program would send it. A text that is no such value stays as it is."""
    match FIELDS[name].kind:
        case FieldKind.TEXT:
            return text
        case FieldKind.OPTIONAL:
            return text or None
        case FieldKind.COUNTRY:
            return text.upper() or None
        case FieldKind.WHOLE:
            digits = text.replace(",", "")
            return int(digits) if _WHOLE.fullmatch(digits) else text or None
        case FieldKind.NUMBER:
            return float(text) if _NUMBER.fullmatch(text) else text
        case FieldKind.YES_NO:
            return {YES: True, NO: False}.get(text, text)
        case FieldKind.DAYS:
            return [each for each in text.split(",") if each]
        case FieldKind.LINES:
            return [line.strip() for line in text.splitlines() if line.strip()]


def text_of(value: object) -> str:
    """The text that shows a value in a field."""
    match value:
        case None:
            return ""
        case bool():
            return YES if value else NO
        case float():
            return f"{value:.15g}"
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="minutes" if not value.second else "seconds")
        case tuple() | list():
            return ("," if set(value) <= set(WEEK) else "\n").join(map(str, value))
        case _:
            return str(value)


def texts_of(settings: object) -> dict[str, str]:
    """The texts of the settings of a campaign."""
    return {name: text_of(getattr(settings, name)) for name in FIELDS}
