"""What the command `schemathesis` needs to know beyond the OpenAPI document. It loads this module by name.

The document names formats that JSON Schema does not know. Here are values of them.
"""

from typing import Any
from uuid import uuid4
from zoneinfo import available_timezones

import schemathesis
from hypothesis import strategies as st

from api.formats import COUNTRY_FORMAT, FILE_FORMAT, PERSON_FORMAT, ZONE_FORMAT
from domain.phone_numbers import COUNTRIES

schemathesis.openapi.format(ZONE_FORMAT, st.sampled_from(sorted(available_timezones())))
schemathesis.openapi.format(COUNTRY_FORMAT, st.sampled_from(sorted(COUNTRIES)))
schemathesis.openapi.format(PERSON_FORMAT, st.from_regex(r"\+1 ?469[- ]?465[- ]?[0-9]{4}", fullmatch=True))
schemathesis.openapi.format(
    FILE_FORMAT, st.from_regex(r"phone,\{\{1\}\}\n(\+1469465[0-9]{4},[a-z]+\n){1,5}", fullmatch=True)
)


def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Give each request an Idempotency-Key of its own: two different ones with the same key are rightly refused."""
    given = case.headers.get("idempotency-key")
    if isinstance(given, str) and 0 < len(given) <= 255 and all("\x21" <= each <= "\x7e" for each in given):
        case.headers["idempotency-key"] = str(uuid4())


schemathesis.hook(before_call)
