"""The sending numbers of the settings: each with its id, and where they differ from the others, its pace and its token.

The value of `CAMPAIGNS_WHATSAPP_NUMBERS` is JSON, or the path of a file with it. A token may be in a file of its own.
No message of an error has a part of the value, because it may hold tokens.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, SecretStr

from runtime import settings_values

BYTES_MAX = 1_000_000
TOKEN_BYTES_MAX = 8192
MPS_MAX = 5000
ID_DIGITS_MAX = 64
KEYS = frozenset({"phone_number_id", "mps", "access_token", "access_token_file"})


class SendingNumber(BaseModel):
    """One number. What is None is as in the settings for all numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    phone_number_id: str
    mps: int | None = None
    """Messages per second."""
    access_token: SecretStr | None = None


def sending_numbers(text: str) -> tuple[SendingNumber, ...]:
    """Read the numbers. Raises ValueError, whose message names no value."""
    given = _json(text if text.startswith(("[", "{")) else _read(text, "the file of numbers", BYTES_MAX))
    if not isinstance(given, list):  # a ValueError, because the reader of the settings reports a wrong value
        raise ValueError('must be a JSON list such as [{"phone_number_id": "106540352242922", "mps": 250}]')  # noqa: TRY004
    found = tuple(_number(place, each) for place, each in enumerate(given, 1))
    repeated = [number for number, n in Counter(each.phone_number_id for each in found).items() if n > 1]
    if repeated:
        raise ValueError(f"has the number {repeated[0]} twice")
    return found


def _number(place: int, given: Any) -> SendingNumber:
    about = f"number {place}"
    if not isinstance(given, Mapping):
        raise ValueError(f"{about} must be an object with phone_number_id")  # noqa: TRY004
    if unknown := sorted(given.keys() - KEYS):
        raise ValueError(f"{about} has the unknown name {unknown[0][:40]!r}; the names are {', '.join(sorted(KEYS))}")
    number, mps = given.get("phone_number_id"), given.get("mps")
    if not isinstance(number, str) or not number.isascii() or not number.isdecimal() or len(number) > ID_DIGITS_MAX:
        raise ValueError(f"{about} needs a phone_number_id: the Cloud API's id of the number, as a text of digits")
    if mps is not None and (not isinstance(mps, int) or isinstance(mps, bool) or not 1 <= mps <= MPS_MAX):
        raise ValueError(f"{about} needs an mps of messages per second from 1 to {MPS_MAX}")
    return SendingNumber(phone_number_id=number, mps=mps, access_token=_token(about, given))


def _token(about: str, given: Mapping[str, Any]) -> SecretStr | None:
    token, file = given.get("access_token"), given.get("access_token_file")
    if token is not None and file is not None:
        raise ValueError(f"{about} has an access_token and an access_token_file: remove one")
    if isinstance(file, str) and file:
        token = _read(file, f"the access_token_file of {about}", TOKEN_BYTES_MAX)
    elif file is not None:
        raise ValueError(f"{about} needs an access_token_file that is a path")
    if token is None:
        return None
    if not isinstance(token, str) or not token.strip():
        raise ValueError(f"{about} needs an access_token that is not empty")
    try:
        return SecretStr(settings_values.credential(settings_values.cleaned(token)))
    except ValueError as problem:
        raise ValueError(f"the access token of {about} {problem}") from None


def _read(path: str, about: str, bytes_max: int) -> str:
    try:
        with Path(path).open("rb") as file:
            content = file.read(bytes_max + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is no path"
        raise ValueError(f"{about} cannot be read: {reason}") from None
    if len(content) > bytes_max:
        raise ValueError(f"{about} has more than {bytes_max:,} bytes")
    try:
        return content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise ValueError(f"{about} is no UTF-8 text") from None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError("is no valid JSON, and no path of a file with it") from None
