"""The types of fields in bodies of requests: their bounds, their patterns and what is stored of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
)

from api.formats import COUNTRY_FORMAT, ZONE_FORMAT
from domain.days import UnknownTimeZone, zone
from domain.exclusions import CAMPAIGNS_MAX
from domain.frequency import WAIT_DAYS_MAX
from domain.parameter_texts import InvalidTemplateParameters
from domain.parameters import parse, stored
from domain.phone_numbers import COUNTRIES
from domain.windows import LOCAL_TIME, LOCAL_TIME_OR_24, WEEK, Weekday
from schemas.events import CODE_MAX

START_YEARS = (2000, 2100)


def _storable(text: str) -> str:
    """Refuse text that PostgreSQL cannot store: NUL, and half of a surrogate pair."""
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("The text contains a character that cannot be stored.")
    return text


def _known_zone(name: str) -> str:
    try:
        zone(name)
    except UnknownTimeZone:
        raise ValueError("This is no time zone of the IANA list.") from None
    return name


def _known_country(code: str) -> str:
    if code not in COUNTRIES:
        raise ValueError("This is not the ISO 3166 code of a country with phone numbers.")
    return code


def whole(given: Any) -> Any:
    """In JSON, 250.0 is the whole number 250, and some clients write it so."""
    return int(given) if isinstance(given, float) and given.is_integer() else given


def sendable(given: Any) -> Any:
    """Template parameters in their stored form, by the rules for those of recipients."""
    try:
        return stored(parse(given))
    except InvalidTemplateParameters as invalid:
        raise ValueError(f"{invalid}") from None


def _in_order(days: tuple[Weekday, ...]) -> tuple[Weekday, ...]:
    if not days:
        raise ValueError("Name at least one day of the week.")
    return tuple(sorted(set(days), key=WEEK.index))


def _in_range(at: datetime) -> datetime:
    if not START_YEARS[0] <= at.year < START_YEARS[1]:
        raise ValueError(f"The year must be from {START_YEARS[0]} to {START_YEARS[1] - 1}.")
    return at


WRITTEN = r"^[^\x00]*[^\s\x00\x85][^\x00]*$"
"""At least one character that is not white space, and no NUL. For ECMAScript, U+0085 is not white space."""
Text = Annotated[str, Field(min_length=1, max_length=200, pattern=WRITTEN), AfterValidator(_storable)]
TemplateName = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[A-Za-z0-9_]+$")]
LanguageCode = Annotated[str, Field(pattern=r"^[a-z]{2,3}(_[A-Z]{2,4})?$", examples=["en_US"])]
MetaWord = Annotated[str, Field(pattern=r"^[A-Za-z_]{1,64}$")]
"""A status or a category of Meta's, in small or capital letters."""
DailyLimit = Annotated[int, Field(gt=0, le=2_147_483_647, strict=True), BeforeValidator(whole)]
MetaCode = Annotated[int, Field(ge=0, le=CODE_MAX, strict=True), BeforeValidator(whole)]
LocalTime = Annotated[str, Field(pattern=LOCAL_TIME, examples=["09:00"])]
EndTime = Annotated[str, Field(pattern=LOCAL_TIME_OR_24, examples=["20:00"])]
"""A local time, or 24:00 for the end of the day."""
Weekdays = Annotated[
    tuple[Weekday, ...], Field(max_length=7, json_schema_extra={"minItems": 1}), AfterValidator(_in_order)
]
StartTime = Annotated[AwareDatetime, AfterValidator(_in_range)]
Switch = Annotated[bool, Field(strict=True)]
CanaryPeople = Annotated[int, Field(ge=1, le=1_000_000, strict=True), BeforeValidator(whole)]
CanaryMinutes = Annotated[int, Field(ge=1, le=1440, strict=True), BeforeValidator(whole)]
OtherCampaigns = Annotated[tuple[Text, ...], Field(max_length=CAMPAIGNS_MAX)]
CapWait = Annotated[int, Field(ge=0, le=WAIT_DAYS_MAX, strict=True), BeforeValidator(whole)]
CanaryPercent = Annotated[float, Field(ge=0.01, le=100, strict=True, allow_inf_nan=False)]
LimitPercent = Annotated[float, Field(ge=0, le=100, strict=True, allow_inf_nan=False)]
"""A share of people in percent; 100 stops nothing."""
StaleHours = Annotated[int, Field(ge=1, le=8760, strict=True), BeforeValidator(whole)]
PhoneNumberId = Annotated[str, Field(pattern=r"^[0-9]{1,64}$")]
ZoneName = Annotated[
    str,
    Field(max_length=100, examples=["America/Sao_Paulo"], json_schema_extra={"format": ZONE_FORMAT}),
    AfterValidator(_known_zone),
]
Country = Annotated[
    str,
    Field(pattern=r"^[A-Z]{2}$", examples=["DE"], json_schema_extra={"format": COUNTRY_FORMAT}),
    AfterValidator(_known_country),
]
"""The country of numbers that are written without a country code."""
