"""The template check and the simulator judge alike: no misfit if and only if the simulator takes the message."""

from __future__ import annotations

from typing import Any

from hypothesis import assume, event, example, given
from hypothesis import strategies as st

from domain.parameter_texts import InvalidTemplateParameters
from domain.parameters import parse, request_components
from domain.template_fit import misfits
from domain.template_slots import parameters_of, slots_of
from domain.templates import read_template
from simulator.account.templates import Template
from simulator.checks.fits import check_fit
from simulator.checks.refusals import Refused
from simulator.checks.templates import check_components
from simulator.config import TemplateConfig
from tests.support.parameters import TEMPLATE_PARAMETERS
from tests.support.templates import generated_rows

LIKELY: st.SearchStrategy[Any] = st.one_of(
    st.lists(st.sampled_from(["Ana", "5"]), max_size=3),
    st.dictionaries(st.sampled_from(["first_name", "b"]), st.just("Ana"), max_size=2),
)


def is_sendable(row: dict[str, Any], components: list[dict[str, Any]]) -> bool:
    """Whether the simulator takes a message of this template with these components."""
    config = TemplateConfig(
        name=row["name"], parameter_format=row["parameter_format"], components=tuple(row["components"])
    )
    template = Template("1", config.name, "en_US", "MARKETING", "APPROVED", config.parameter_format, row["components"])
    try:
        check_components("components", components, ())
        check_fit(template, components)
    except Refused:
        return False
    return True


IMAGE_FOR_A_TEXT = (
    {
        "id": "1", "name": "spring_offer", "language": "en_US", "status": "APPROVED", "category": "MARKETING",
        "parameter_format": "POSITIONAL",
        "components": [{"type": "HEADER", "format": "TEXT", "text": "Hi {{1}}"}, {"type": "BODY", "text": "x"}],
    },
    {"components": [{"type": "header", "parameters": [
        {"type": "image", "image": {"link": "https://example.com/a"}}]}]},
)  # fmt: skip


@given(generated_rows(), LIKELY | TEMPLATE_PARAMETERS)
@example(*IMAGE_FOR_A_TEXT)
def test_no_misfit_means_that_the_simulator_takes_the_message(row: dict[str, Any], given_value: Any) -> None:
    try:
        parameters = parse(given_value)
    except InvalidTemplateParameters:
        assume(False)
    template = read_template(row)
    assert template is not None
    found = misfits(template, parameters)
    event("fits" if not found else "does not fit")
    assert (found == []) is is_sendable(row, request_components(parameters)), found


@given(generated_rows())
def test_a_value_for_each_slot_makes_parameters_that_fit(row: dict[str, Any]) -> None:
    template = read_template(row)
    assert template is not None
    assume(not template.cards)
    known = {"header": "https://example.com/a", "header_latitude": "52.5", "header_longitude": "13.4"}
    values = {slot: known.get(slot, "Ana") for slot in slots_of(template)}
    parameters = parse(parameters_of(template, values))
    assert misfits(template, parameters) == []
    assert is_sendable(row, request_components(parameters))
