"""Whether parameters fit a template, and whether a template can be sent. Pure.

Meta refuses each message whose parameters do not fit (132000, 132005, 132012, 131008), so a fault of the whole campaign
would be found only after the first sends. These functions find it before, by the same rules.

Laws: no misfit means that every variable has exactly one parameter. Apart from the length of the texts the structure of
the parameters decides alone, so recipients with parameters of one shape are judged together (`Rooms` has the lengths).

Source: Meta's pages "Error codes" (132000, 132001, 132005, 132012, 132015, 132016, 134100) and "Template components".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.reasons import ParameterMisfit, TemplateFault

from domain.components import BODY_CHARACTERS_MAX, HEADER_CHARACTERS_MAX, LONE_BODY_CHARACTERS_MAX
from domain.parameter_texts import InvalidTemplateParameters
from domain.parameters import FIELD, Parameters, parse, request_components
from domain.templates import (
    APPROVED,
    MARKETING,
    TEXT_FORMAT,
    VARIABLE,
    Button,
    Content,
    Header,
    MessageTemplate,
    variables_of,
)

MessageComponents = Sequence[Mapping[str, Any]]
REFUSING = frozenset(TemplateFault) - {
    TemplateFault.NOT_MARKETING,
    TemplateFault.LOW_QUALITY,
    TemplateFault.UNREADABLE,
    TemplateFault.UNCHECKED,
}
"""Faults because of which every message would be refused. The others are warnings."""
BY_STATUS = {"PAUSED": TemplateFault.PAUSED, "DISABLED": TemplateFault.DISABLED}
"""Statuses with a fault of their own. Any other status but APPROVED is one of a template that Meta does not send."""
LOW_QUALITY = "RED"
NAMES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Misfit:
    """One thing that does not fit: the reason, the place in the parameters, and a sentence."""

    reason: ParameterMisfit
    field: str
    detail: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with the template itself."""

    fault: TemplateFault
    detail: str
    refuses: bool
    """Whether no message would be sent. Otherwise it is a warning."""


@dataclass(frozen=True, slots=True)
class Room:
    """How long the parameters of one text may be: `weights` says how often each variable occurs in it."""

    characters: int
    weights: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Rooms:
    """The rooms of a template; None where no parameter belongs."""

    body: Room | None
    header: Room | None


# ------------------------------------------------------------------------------------------------------- the template


def find_faults(
    found: Sequence[MessageTemplate], language: str, *, needs_marketing: bool, takes_unlisted: bool
) -> list[Finding]:
    """The faults of the template with this language, among the languages of one name.

    `needs_marketing`: the endpoint takes marketing templates only. `takes_unlisted`: a simulator replaces Meta, which
    takes any name that it does not list.
    """
    if not found:
        return [_finding(TemplateFault.NOT_FOUND, TemplateFault.NOT_FOUND.meaning, refuses=not takes_unlisted)]
    template = next((each for each in found if each.language == language), None)
    if template is None:
        known = ", ".join(sorted(each.language for each in found)[:NAMES_SHOWN])
        return [_finding(TemplateFault.LANGUAGE_MISSING, f"The template does not exist in {language}, but in {known}.")]
    return list(_faults_of(template, needs_marketing=needs_marketing))


def _faults_of(template: MessageTemplate, *, needs_marketing: bool) -> Iterator[Finding]:
    if template.status != APPROVED:
        fault = BY_STATUS.get(template.status, TemplateFault.NOT_APPROVED)
        why = f" for {template.rejected_for}" if template.rejected_for else ""
        yield _finding(fault, f"Its status is {template.status}{why}: Meta sends approved templates only.")
    if template.category != MARKETING:
        detail = f"Its category is {template.category}, not MARKETING."
        if needs_marketing:
            detail += " The endpoint marketing_messages takes marketing templates only."
        yield _finding(TemplateFault.NOT_MARKETING, detail, refuses=needs_marketing)
    if template.quality == LOW_QUALITY:
        yield _finding(TemplateFault.LOW_QUALITY, TemplateFault.LOW_QUALITY.meaning)


def _finding(fault: TemplateFault, detail: str, *, refuses: bool | None = None) -> Finding:
    return Finding(fault, detail, fault in REFUSING if refuses is None else refuses)


# ----------------------------------------------------------------------------------------------------- the parameters


def misfits(template: MessageTemplate, parameters: Parameters | None) -> list[Misfit]:
    """What of the parameters does not fit the template."""
    given = request_components(parameters)
    return [*_content(template, template.content, given, _body_most(template), FIELD), *_cards(template, given)]


def misfits_of(template: MessageTemplate, stored: object) -> list[Misfit]:
    """What of stored parameters does not fit the template, also if nothing can read them."""
    try:
        parameters = parse(stored)
    except InvalidTemplateParameters as invalid:
        return [Misfit(ParameterMisfit.UNREADABLE, invalid.field, invalid.detail)]
    return misfits(template, parameters)


def rooms_of(template: MessageTemplate) -> Rooms:
    """The rooms for the parameters of the body and of a text header."""
    header = template.content.header
    title = header.text if header is not None and header.format == TEXT_FORMAT else ""
    return Rooms(_room(template.content.body or "", _body_most(template)), _room(title, HEADER_CHARACTERS_MAX))


def long_texts(template: MessageTemplate, *, body: bool, header: bool) -> list[Misfit]:
    """The misfits of texts that were measured by the rooms of the template."""
    found = [too_long(f"{FIELD}.body", _body_most(template))] if body else []
    return [*found, too_long(f"{FIELD}.header", HEADER_CHARACTERS_MAX)] if header else found


def _body_most(template: MessageTemplate) -> int:
    return LONE_BODY_CHARACTERS_MAX if template.is_plain else BODY_CHARACTERS_MAX


def _room(text: str, most: int) -> Room | None:
    weights = Counter(VARIABLE.findall(text))
    return Room(most - len(VARIABLE.sub("", text)), dict(weights)) if weights else None


def _content(
    template: MessageTemplate, content: Content, given: MessageComponents, body_most: int, at: str
) -> Iterator[Misfit]:
    """The misfits of a message or of a card."""
    yield from _text(template, content.body or "", _parameters(given, "body"), body_most, f"{at}.body")
    yield from _header(template, content.header, _parameters(given, "header"), f"{at}.header")
    yield from _buttons(content.buttons, given, at)


def _parameters(given: MessageComponents, kind: str) -> Sequence[Mapping[str, Any]]:
    return next((each.get("parameters") or () for each in given if each["type"] == kind), ())


def _text(
    template: MessageTemplate, text: str, parameters: Sequence[Mapping[str, Any]], most: int, at: str
) -> Iterator[Misfit]:
    """The parameters of a text: each variable has one, in the form of the template, and the text is not too long."""
    variables = variables_of(text)
    has_names = any("parameter_name" in each for each in parameters)
    if parameters and variables and has_names is not template.is_named:
        form = "named" if template.is_named else "positional"
        listed = ", ".join(variables[:NAMES_SHOWN])
        yield Misfit(ParameterMisfit.WRONG_FORM, at, f"The template has the {form} parameters {listed} here.")
        return
    names = (
        [each["parameter_name"] for each in parameters]
        if has_names
        else [str(place) for place in range(1, len(parameters) + 1)]
    )
    # Positional parameters fill the variables in the order of their numbers, whatever those are.
    wanted = variables if has_names else tuple(str(place) for place in range(1, len(variables) + 1))
    for name in wanted:
        if name not in names:
            yield Misfit(ParameterMisfit.MISSING, f"{at}.{name}", f"The variable {{{{{name}}}}} has no parameter.")
    for name in names:
        if name not in wanted:
            detail = f"The template has no variable {{{{{name}}}}} here."
            yield Misfit(ParameterMisfit.SUPERFLUOUS, f"{at}.{name}", detail)
    if set(names) == set(wanted):
        shown = [shown_text(each) for each in parameters]
        by_variable = dict(zip(names if has_names else variables, shown, strict=True))
        length = len(VARIABLE.sub(lambda match: by_variable[match[1]], text))
        if length > most:
            yield too_long(at, most)


def too_long(at: str, most: int) -> Misfit:
    """The misfit of a text that is longer than `most` characters once it is filled in."""
    return Misfit(ParameterMisfit.TOO_LONG, at, f"The text with its parameters has more than {most:,} characters.")


def shown_text(parameter: Mapping[str, Any]) -> str:
    """What a person reads for a parameter of a text. Amounts and dates have a fallback value."""
    value = parameter.get(str(parameter.get("type")))
    if isinstance(value, Mapping):
        value = value.get("fallback_value")
    return value if isinstance(value, str) else ""


def _header(
    template: MessageTemplate, header: Header | None, parameters: Sequence[Mapping[str, Any]], at: str
) -> Iterator[Misfit]:
    if header is None:
        if parameters:
            yield Misfit(ParameterMisfit.SUPERFLUOUS, at, "The template has no header.")
    elif header.format == TEXT_FORMAT:
        media = [each["type"] for each in parameters if each["type"] not in ("text", "currency", "date_time")]
        if media:
            yield Misfit(ParameterMisfit.HEADER_KIND, at, f"The header of the template is a text, not {media[0]}.")
        else:
            yield from _text(template, header.text, parameters, HEADER_CHARACTERS_MAX, at)
    elif header.is_medium:
        kinds = [str(each["type"]) for each in parameters]
        if not kinds:
            detail = f"The template has a header of the kind {header.format}: each message needs one."
            yield Misfit(ParameterMisfit.HEADER_MISSING, at, detail)
        elif kinds != [header.format]:
            detail = f"The header of the template is of the kind {header.format}, not {', '.join(kinds)}."
            yield Misfit(ParameterMisfit.HEADER_KIND, at, detail)


def _buttons(buttons: Sequence[Button], given: MessageComponents, at: str) -> Iterator[Misfit]:
    """Each parameter belongs to a button of its kind, and each button that needs one has it."""
    by_index = {int(each["index"]): each for each in given if each["type"] == "button"}
    for index, each in by_index.items():
        where = f"{at}.button.{index}"
        if index >= len(buttons):
            yield Misfit(ParameterMisfit.BUTTON_SUPERFLUOUS, where, f"The template has {len(buttons)} button(s).")
        elif buttons[index].sub_type != each["sub_type"]:
            detail = f"The button of the template is of the kind {buttons[index].sub_type}, not {each['sub_type']}."
            yield Misfit(ParameterMisfit.BUTTON_KIND, where, detail)
        elif each.get("parameters") and not buttons[index].takes_parameter:
            yield Misfit(ParameterMisfit.BUTTON_SUPERFLUOUS, where, "The button of the template takes no parameter.")
    for index, button in enumerate(buttons):
        if button.needs_parameter and not by_index.get(index, {}).get("parameters"):
            detail = f"The button “{button.text}” needs a parameter."
            yield Misfit(ParameterMisfit.BUTTON_MISSING, f"{at}.button.{index}", detail)


def _cards(template: MessageTemplate, given: MessageComponents) -> Iterator[Misfit]:
    cards: Sequence[Mapping[str, Any]] = next((each["cards"] for each in given if each["type"] == "carousel"), ())
    at = f"{FIELD}.carousel"
    if len(cards) != len(template.cards):
        yield Misfit(ParameterMisfit.CARDS, at, f"The template has {len(template.cards)} card(s), not {len(cards)}.")
        return
    for place, (content, card) in enumerate(zip(template.cards, cards, strict=True)):
        yield from _content(template, content, card["components"], BODY_CHARACTERS_MAX, f"{at}.{place}")
