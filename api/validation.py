"""Says in words which fields of a request are wrong, what their limits are, and which name may have been meant."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ValidationError

FIELDS_NAMED_MAX = 50
NAME_CHARACTERS_MAX = 100
UNKNOWN_PARAMETER = "unknown_parameter"
_CLOSENESS = 0.5
"""Lowest similarity of a name that may have been meant: `phone` is this close to `phone_number`."""

HINTS: Mapping[str, str] = MappingProxyType(
    {
        "template_name": "Write the name of the template: letters, digits and underscores, up to 512 characters.",
        "language_code": "Write the code of the template's language, such as en or en_US.",
        "phone_number_id": "Write the Cloud API's id of the sending number: up to 64 digits. It is no phone number.",
        "daily_send_limit": "Write a whole number from 1 to 2,147,483,647, or null for no limit.",
        "time_zone": "Write a time zone of the IANA list, such as UTC or America/Sao_Paulo.",
        "country": "Write the ISO 3166 code of a country in capital letters, such as DE or US.",
        "window_days": 'Write a list of days of the week, such as ["mon", "tue"]: mon, tue, wed, thu, fri, sat, sun.',
        "window_from": "Write a local time as HH:MM, such as 09:00.",
        "window_to": "Write a local time as HH:MM, such as 20:00; 24:00 is the end of the day.",
        "window_zone": "Write campaign or recipient.",
        "quiet_from": "Write a local time as HH:MM, such as 13:00, or null for no quiet hours.",
        "quiet_to": "Write a local time as HH:MM, such as 15:00, or null for no quiet hours.",
        "start_at": "Write a time with its offset from UTC, such as 2027-03-01T09:00:00+01:00, or null.",
        "stale_after_hours": "Write a whole number from 1 to 8,760, or null for never.",
        "canary": "Write true or false, without quotes.",
        "canary_percent": "Write a number from 0.01 to 100.",
        "canary_min": "Write a whole number from 1 to 1,000,000.",
        "canary_max": "Write a whole number from 1 to 1,000,000.",
        "canary_wait_minutes": "Write a whole number of minutes from 1 to 1,440.",
        "failure_limit_percent": "Write a number from 0 to 100; 100 never pauses the campaign.",
        "opt_out_limit_percent": "Write a number from 0 to 100; 100 never pauses the campaign.",
        "block_limit_percent": "Write a number from 0 to 100; 100 never pauses the campaign.",
        "unknown_limit_percent": "Write a number from 0 to 100; 100 never pauses the campaign.",
        "frequency_capped": "Write true or false, without quotes.",
        "cap_wait_days": "Write a whole number of days from 0 to 365; 0 skips people above the frequency cap at once.",
        "exclude_campaigns": "Write a list of up to 20 ids or names of campaigns.",
        "exclude_recipients": "Write all, sent, delivered or read.",
        "endpoint": "Write messages or marketing_messages.",
        "messages": "Write a whole number from 1 to 100.",
        "days": "Write a whole number of days from 1 to 30.",
        "codes": "Write error codes of Meta, such as 131042: up to 100 whole numbers from 0 to 2,147,483,647.",
        "classes": "Write classes as the reference of error codes names them, such as request: up to 10.",
        "dry_run": "Write true or false, without quotes.",
        "subscribed": "Write true or false, without quotes.",
        "name": "Write a name with 1 to 200 characters that is not only white space.",
        "recipients": "Write true or false, without quotes.",
        "reason": "Write a reason with 1 to 200 characters that is not only white space.",
        "after": "Write the `next` of the previous page, or leave it out to begin with the first page.",
        "limit": "Write a whole number.",
        "status": "Write one of the statuses: pending, queued, sent, delivered, read, failed, skipped, unknown.",
        "Idempotency-Key": "Write 1 to 255 visible ASCII characters.",
    }
)
"""What belongs into a field, for faults whose rule alone does not say it."""


def field_errors(found: Sequence[Mapping[str, Any]], known: Collection[str]) -> list[dict[str, str]]:
    """One error per wrong field, from the errors of pydantic. `known` are the fields of the body."""
    return [
        {"field": field_path(each["loc"]), "message": _message(each, known), "type": str(each["type"])}
        for each in found[:FIELDS_NAMED_MAX]
    ]


def field_path(location: Sequence[Any]) -> str:
    """The path of a field as the client wrote it: `body.phone_numbers.3` is `phone_numbers.3`."""
    parts = [str(part)[:NAME_CHARACTERS_MAX] for part in location]
    if parts[:1] == ["header"]:
        return "-".join(word.capitalize() for word in parts[-1].split("-"))
    return ".".join(parts[1:]) if len(parts) > 1 else "".join(parts)


def did_you_mean(name: str, known: Collection[str]) -> str:
    """A sentence with the known name that is closest to an unknown one; empty if none is close."""
    close = get_close_matches(name.lower()[:NAME_CHARACTERS_MAX], sorted(known), n=1, cutoff=_CLOSENESS)
    return f" Did you mean {close[0]}?" if close else ""


def known_fields(model: type[BaseModel]) -> Collection[str]:
    """The names of the fields of a body."""
    return model.model_fields.keys()


def model_errors(error: ValidationError, model: type[BaseModel]) -> list[tuple[str, str]]:
    """The fields of a body that are wrong, each with its message, where no request brought the body."""
    errors = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
    return [
        (str(each["field"]).partition(".")[0], str(each["message"]))
        for each in field_errors(errors, known_fields(model))
    ]


def unknown_parameter(name: str, known: Collection[str]) -> Mapping[str, Any]:
    """The error, in the form of pydantic's, of a parameter of the query that no route reads."""
    listed = f"Known parameters: {', '.join(sorted(known))}." if known else "The request has none."
    message = f"There is no parameter of this name.{did_you_mean(name, known)} {listed}"
    return {"type": UNKNOWN_PARAMETER, "loc": ("query", name), "msg": message}


def _message(error: Mapping[str, Any], known: Collection[str]) -> str:
    field = field_path(error["loc"])
    words = _WORDS.get(error["type"])
    if words is not None:
        return words(error, known)
    hint = HINTS.get(field.partition(".")[0])
    return hint or f"{str(error['msg']).removeprefix('Value error, ').rstrip('.')}."


def _unknown(error: Mapping[str, Any], known: Collection[str]) -> str:
    name = str(error["loc"][-1])
    return f"There is no field of this name.{did_you_mean(name, known)} Known fields: {', '.join(sorted(known))}."


def _missing(error: Mapping[str, Any], _known: Collection[str]) -> str:
    if len(error["loc"]) == 1:
        return "The request needs a JSON object as its body, with the header Content-Type: application/json."
    hint = HINTS.get(str(error["loc"][-1]), "")
    return f"This field is required. {hint}".strip()


def _too_long(error: Mapping[str, Any], _known: Collection[str]) -> str:
    given, most = len(error["input"]), error["ctx"]["max_length"]
    return (
        f"The list has {given:,} items. At most {most:,} are possible in one request: send the others in further ones."
    )


def _no_object(_error: Mapping[str, Any], _known: Collection[str]) -> str:
    return 'The body must be a JSON object, such as {"name": "..."}.'


def _no_list(_error: Mapping[str, Any], _known: Collection[str]) -> str:
    return 'Write a list here, such as ["14694652751"].'


def _bound(error: Mapping[str, Any], _known: Collection[str]) -> str:
    """A hint that names the range, or else the bound that pydantic names: `ge` or `le`."""
    hint = HINTS.get(field_path(error["loc"]).partition(".")[0], "")
    bounds = error.get("ctx", {})
    if " from " in hint or not bounds.keys() & {"ge", "le"}:
        return hint or f"{error['msg']}."
    return (
        f"Write a number of at least {bounds['ge']:,}." if "ge" in bounds else f"At most {bounds['le']:,} is possible."
    )


def _half_character(error: Mapping[str, Any], _known: Collection[str]) -> str:
    shown = str(error["input"])[:NAME_CHARACTERS_MAX].encode("ascii", "backslashreplace").decode()
    return f"A name or a text contains half a character: {shown}. Encode the text as UTF-8 again."


_WORDS: Mapping[str, Callable[[Mapping[str, Any], Collection[str]], str]] = MappingProxyType(
    {
        "extra_forbidden": _unknown,
        UNKNOWN_PARAMETER: lambda error, _known: str(error["msg"]),
        "greater_than_equal": _bound,
        "less_than_equal": _bound,
        "missing": _missing,
        "too_long": _too_long,
        "too_short": lambda _error, _known: "The list is empty. Write at least one item.",
        "list_type": _no_list,
        "model_attributes_type": _no_object,
        "model_type": _no_object,
        "dict_type": _no_object,
        "string_unicode": _half_character,
        "uuid_parsing": lambda _error, _known: "Write an id (UUID) as the API gave it.",
    }
)
"""The words for the types of pydantic's errors that need more than a hint."""
