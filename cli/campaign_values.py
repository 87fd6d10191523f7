"""Reads the settings of a campaign from options by the rules of the REST API, and says in words what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from api.validation import field_errors, known_fields
from operations.options import InvalidOptions

OPTIONS = {
    "name": "--name",
    "template_name": "--template",
    "language_code": "--language",
    "daily_send_limit": "--daily-limit",
    "phone_number_id": "--number",
    "time_zone": "--time-zone",
    "country": "--country",
}
"""Setting to its option."""
WORDS = {
    "daily_send_limit": "Write a whole number from 1 to 2,147,483,647. Without the option there is no limit.",
}
"""Words for a setting where those of the REST API do not fit a command line."""
NO_NUMBER = (
    "--number is required, because CAMPAIGNS_WHATSAPP_PHONE_NUMBER_ID is not set. "
    "It is the id of the sending number in Meta's WhatsApp Manager."
)
M = TypeVar("M", bound=BaseModel)


def checked(model: type[M], given: Mapping[str, Any], options: Mapping[str, str] = OPTIONS) -> M:
    """The body of the REST API with these settings. Raises InvalidOptions, with a line for each wrong option."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        found = field_errors(error.errors(), known_fields(model))
        lines = [
            f"{options.get(each['field'], each['field'])}: {WORDS.get(each['field'], each['message'])}"
            for each in found
        ]
        raise InvalidOptions("\n".join(dict.fromkeys(lines))) from None
