"""Checks whether a send fits its template: status, number and format of the parameters, and the length of the texts.

Source: Meta's pages "Error codes" (132000, 132001, 132005, 132012, 132015, 132016) and "Template components".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from simulator.account.templates import VARIABLE, Template, TemplateStore, variables_of
from simulator.checks.refusals import Refused, invalid_parameter, missing, too_long, with_code
from simulator.checks.templates import BODY_TEXT_MAX, HEADER_TEXT_MAX, LONE_BODY_TEXT_MAX

NOT_SENDABLE = {"PAUSED": 132015, "DISABLED": 132016}
"""The codes of templates that exist but are not sent. Any other status but APPROVED is as if there were none."""
MEDIA_FORMATS = frozenset({"IMAGE", "VIDEO", "DOCUMENT", "GIF", "LOCATION", "PRODUCT"})
GivenComponents = Sequence[Mapping[str, Any]]


def find_sendable(store: TemplateStore, name: str, language: str) -> Template | None:
    """The template of a send; None if any parameters fit. Raises Refused if it is missing or may not be sent."""
    if store.exists_unseen(name):
        return None
    template = store.find(name, language)
    if template is not None and (code := NOT_SENDABLE.get(template.status)) is not None:
        raise Refused(with_code(code, "").refusal)
    if template is None or template.status != "APPROVED":
        raise with_code(132001, f"template name ({name}) does not exist in {language}")
    return template


def check_fit(template: Template, given: GivenComponents) -> None:
    """Raises Refused if the components of a send do not fit the template."""
    if not template.takes_any_parameters:
        _check_components(template.components, template.parameter_format, given)


def _check_components(wanted: Sequence[Mapping[str, Any]], form: str, given: GivenComponents) -> None:
    """Compare the components of a template or of a card with those of a send."""
    by_kind = {str(one.get("type")).upper(): one for one in wanted}
    for one in given:
        kind = str(one.get("type")).upper()
        if kind in ("HEADER", "BODY", "CAROUSEL") and kind not in by_kind and (one.get("parameters") or "cards" in one):
            _refuse_count(kind.lower(), 0, len(one.get("parameters") or one["cards"]))
    for kind, component in by_kind.items():
        if kind == "BODY":
            most = LONE_BODY_TEXT_MAX if len(wanted) == 1 else BODY_TEXT_MAX
            _check_text("body", str(component.get("text", "")), form, _parameters(given, "body"), most)
        elif kind == "HEADER":
            _check_header(component, form, _parameters(given, "header"))
        elif kind == "BUTTONS":
            _check_buttons(component.get("buttons", ()), given)
        elif kind == "CAROUSEL":
            _check_cards(component.get("cards", ()), form, given)


def _parameters(given: GivenComponents, kind: str) -> list[Mapping[str, Any]]:
    """The parameters of one component of a send."""
    for one in given:
        if str(one.get("type")).lower() == kind:
            return list(one.get("parameters") or ())
    return []


def _check_text(kind: str, text: str, form: str, parameters: Sequence[Mapping[str, Any]], most: int) -> None:
    """The parameters of a text: their number, their names, and the length of the text with them."""
    variables = variables_of(text)
    if len(parameters) != len(variables):
        _refuse_count(kind, len(variables), len(parameters))
    names = [parameter.get("parameter_name") for parameter in parameters]
    if form == "NAMED" and None in names:
        raise invalid_parameter("Parameter name is missing or empty")
    if form == "NAMED" and set(names) != set(variables):
        raise with_code(132012, f"{kind}: expected the parameters {', '.join(variables)}")
    if form != "NAMED" and any(name is not None for name in names):
        raise with_code(132012, f"{kind}: Format mismatch, the template has positional parameters")
    values = [_shown(parameter) for parameter in parameters]
    by_name = dict(zip(names if form == "NAMED" else variables, values, strict=True))
    length = len(VARIABLE.sub(lambda match: by_name[match[1]], text))
    if length > most:
        raise too_long(f"{kind}: the text has {length} characters, the limit is {most}")


def _shown(parameter: Mapping[str, Any]) -> str:
    """The text that a person reads for a parameter. Amounts and dates have a fallback value."""
    kind = str(parameter.get("type")).lower()
    value = parameter.get(kind)
    return value if isinstance(value, str) else str(value.get("fallback_value", "")) if isinstance(value, dict) else ""


def _refuse_count(kind: str, expected: int, given: int) -> None:
    """Raises Refused with code 132000."""
    raise with_code(
        132000,
        f"{kind}: number of localizable_params ({given}) does not match the expected number of params ({expected})",
    )


def _check_header(component: Mapping[str, Any], form: str, parameters: Sequence[Mapping[str, Any]]) -> None:
    """The header: a text with at most one parameter, or a medium."""
    wanted = str(component.get("format", "TEXT")).upper()
    if wanted not in MEDIA_FORMATS:
        _check_text("header", str(component.get("text", "")), form, parameters, HEADER_TEXT_MAX)
        if media := [kind for one in parameters if (kind := str(one.get("type")).upper()) in MEDIA_FORMATS]:
            raise with_code(132012, f"header: Format mismatch, expected TEXT, received {media[0]}")
        return
    received = str(parameters[0].get("type")).upper() if parameters else "UNKNOWN"
    if received != wanted or len(parameters) != 1:
        raise with_code(132012, f"header: Format mismatch, expected {wanted}, received {received}")


def _check_buttons(buttons: Sequence[Mapping[str, Any]], given: GivenComponents) -> None:
    """Each parameter belongs to a button of its kind, and each button that needs a parameter has one."""
    parameters = {int(one["index"]): one for one in given if str(one.get("type")).lower() == "button"}
    for index, one in parameters.items():
        kind = str(buttons[index].get("type")).upper() if index < len(buttons) else "UNKNOWN"
        kind = "URL" if kind == "OTP" else kind
        if kind == "URL" == str(one.get("sub_type")).upper() and one.get("parameters") and not _takes(buttons[index]):
            raise with_code(132018, f"buttons: Button at index {index} of type Url does not require parameters")
        if kind != str(one.get("sub_type")).upper():
            sub_type = str(one.get("sub_type")).upper()
            raise with_code(132012, f"buttons: Format mismatch at index {index}, expected {kind}, received {sub_type}")
    for index, button in enumerate(buttons):
        kind = str(button.get("type")).upper()
        needs = kind in ("COPY_CODE", "OTP") or (kind == "URL" and _takes(button))
        if needs and not (parameters.get(index, {}).get("parameters")):
            raise missing(f"buttons: Button at index {index} of type {kind.capitalize()} requires a parameter")


def _takes(button: Mapping[str, Any]) -> bool:
    """Whether a button with an address takes its end. That of a one-time password does."""
    return str(button.get("type")).upper() == "OTP" or bool(variables_of(str(button.get("url", ""))))


def _check_cards(cards: Sequence[Mapping[str, Any]], form: str, given: GivenComponents) -> None:
    """The cards of a carousel: as many as in the template, each with fitting components."""
    carousel = next((one for one in given if str(one.get("type")).lower() == "carousel"), {})
    given_cards = carousel.get("cards", [])
    if len(given_cards) != len(cards):
        _refuse_count("carousel", len(cards), len(given_cards))
    for card, given_card in zip(cards, given_cards, strict=True):
        _check_components(card.get("components", ()), form, given_card.get("components", ()))
