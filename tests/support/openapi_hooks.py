"""What the command `schemathesis` needs to know beyond the OpenAPI document. It loads this module by name.

The document names formats that JSON Schema does not know. Here are values of them.
"""

from typing import Any
from uuid import uuid4
from zoneinfo import available_timezones

import schemathesis
from hypothesis import strategies as st
from schemathesis.core.parameters import ParameterLocation

from api.formats import COUNTRY_FORMAT, FILE_FORMAT, PERSON_FORMAT, ZONE_FORMAT
from domain.phone_numbers import COUNTRIES

schemathesis.openapi.format(ZONE_FORMAT, st.sampled_from(sorted(available_timezones())))
schemathesis.openapi.format(COUNTRY_FORMAT, st.sampled_from(sorted(COUNTRIES)))
schemathesis.openapi.format(PERSON_FORMAT, st.from_regex(r"\+1 ?469[- ]?465[- ]?[0-9]{4}", fullmatch=True))
schemathesis.openapi.format(
    FILE_FORMAT, st.from_regex(r"phone,\{\{1\}\}\n(\+1469465[0-9]{4},[a-z]+\n){1,5}", fullmatch=True)
)


TIMES = {"window_from": "08:00", "window_to": "21:30", "quiet_from": "12:00", "quiet_to": "13:00"}
START_AT = "2027-03-01T09:00:00+01:00"
QUIET = ("quiet_from", "quiet_to")


def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Make requests agree with rules over several values, which a schema cannot state.

    Two different requests with the same Idempotency-Key are rightly refused, and so is a window that ends before it
    begins, or that quiet hours fill. A campaign starts in this century. Not every text is a template parameter, the
    number of a tester, or the name of a campaign.
    """
    if isinstance(case.body, dict) and _is_body_meant_right(case):
        has_quiet = all(case.body.get(name) is not None for name in QUIET)
        unwanted = () if has_quiet else QUIET
        given = TIMES if case.body.get("start_at") is None else TIMES | {"start_at": START_AT}
        case.body = {name: given.get(name, value) for name, value in case.body.items() if name not in unwanted}
        if case.body.get("exclude_campaigns"):
            case.body["exclude_campaigns"] = []
        if case.body.get("template_parameters") is not None:
            case.body["template_parameters"] = ["Ana"]
        if case.operation.definition.raw.get("operationId") == "send_test":
            case.body["phone_numbers"] = ["+1 469 465 2751"]
    given = case.headers.get("idempotency-key")
    if isinstance(given, str) and 0 < len(given) <= 255 and all("\x21" <= each <= "\x7e" for each in given):
        case.headers["idempotency-key"] = str(uuid4())


def _is_body_meant_right(case: Any) -> bool:
    """Whether the body follows the schema. Other parts of the request, such as a header, may be wrong on purpose."""
    if case.meta is None:
        return False
    body = case.meta.components.get(ParameterLocation.BODY)
    return bool((case.meta.generation if body is None else body).mode.is_positive)


schemathesis.hook(before_call)
