"""Postgres groups recipients by the shape of their parameters, and a group is judged as each of its rows would be."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.people import person_of
from domain.template_fit import misfits_of
from domain.templates import MessageTemplate, read_template
from schemas.reasons import ParameterMisfit as Misfit
from tables import template_checks
from tests.support import components as sent
from tests.support.parameters import JSON_VALUES, TEMPLATE_PARAMETERS
from tests.support.templates import body, generated_rows, header, template
from tests.support.world import World

TWO = template(body("{{1}} costs {{2}}, {{1}}"), {"type": "FOOTER", "text": "x"})
ODD: list[Any] = [None, "text", 7, {"components": 5}, {"components": [1, {"type": "body", "parameters": 3}]}, [], {}]


async def add(world: World, *parameters: Any) -> None:
    await world.run("DELETE FROM campaign_recipients")
    await world.run(
        "INSERT INTO campaign_recipients (id, campaign_id, phone_number, template_parameters)"
        " SELECT ('00000000-0000-7000-8000-' || lpad(place::text, 12, '0'))::uuid, %s, (15550000000 + place)::text,"
        " given::jsonb FROM unnest(%s::text[]) WITH ORDINALITY AS u (given, place)",
        world.campaign, [orjson.dumps(each).decode() for each in parameters],
    )  # fmt: skip


async def compared(
    world: World, wanted: MessageTemplate, chunk_rows: int = 3
) -> tuple[int, Counter[tuple[Misfit, ...]]]:
    """How many recipients were compared, and how many have which misfits."""
    total, found = 0, Counter[tuple[Misfit, ...]]()
    async for chunk in template_checks.compare(world.connection, world.campaign, wanted, 2, chunk_rows):
        total += chunk.recipients
        for group in chunk.groups:
            found[tuple(each.reason for each in group.misfits)] += group.recipients
    return total, found


async def test_recipients_are_counted_by_misfit_over_all_chunks(world: World) -> None:
    await add(world, ["a", "b"], ["a"], ["c", "d"], ["a", "b", "c"], {"first_name": "x"}, None, ["e"], ["a" * 600, "b"])
    total, found = await compared(world, TWO)
    assert total == 8
    assert found == {
        (Misfit.MISSING,): 2, (Misfit.SUPERFLUOUS,): 1, (Misfit.WRONG_FORM,): 1, (Misfit.MISSING, Misfit.MISSING): 1,
        (Misfit.TOO_LONG,): 1,
    }  # fmt: skip


async def test_the_first_rows_of_a_group_are_named_in_order(world: World) -> None:
    await add(world, ["a"], ["a", "b"], ["b"], ["c"])
    [chunk] = [each async for each in template_checks.compare(world.connection, world.campaign, TWO, 2)]
    [group] = chunk.groups
    first = await template_checks.read_first(world.connection, group.first)
    assert [(each.phone_number, each.template_parameters) for each in first] == [
        ("15550000001", ["a"]), ("15550000003", ["b"]),
    ]  # fmt: skip
    assert group.recipients == 3


async def test_a_campaign_without_recipients_has_no_chunk(world: World) -> None:
    assert await compared(world, TWO) == (0, Counter())


async def test_one_recipient_is_read_by_id_by_person_or_as_the_first(world: World) -> None:
    await add(world, ["a"], ["b"])
    read, campaign = template_checks.read_one, world.campaign
    first = await read(world.connection, campaign)
    assert first is not None
    assert first.template_parameters == ["a"]
    second = await read(world.connection, campaign, person=person_of("15550000002"))
    assert second is not None
    assert second.template_parameters == ["b"]
    assert await read(world.connection, campaign, second.id) == second
    assert await read(world.connection, campaign, first.id, person_of("15550000002")) is None


@pytest.mark.parametrize("wanted", [TWO, template(header("IMAGE"), body("Hi"))])
async def test_values_that_were_written_by_hand_stop_nothing(world: World, wanted: MessageTemplate) -> None:
    await add(world, *ODD)
    total, found = await compared(world, wanted)
    assert total == len(ODD)
    assert found.total() == sum(bool(misfits_of(wanted, each)) for each in ODD)


LONG = sent.body(sent.text("a" * 500), sent.text("b"))
VALUES = TEMPLATE_PARAMETERS | JSON_VALUES | st.sampled_from([["a" * 520, "b"], {"components": [LONG]}, ["a", "b"]])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=generated_rows(), values=st.lists(VALUES, min_size=1, max_size=8))
async def test_each_row_is_judged_as_alone(world: World, row: dict[str, Any], values: list[Any]) -> None:
    wanted = read_template(row)
    assert wanted is not None
    stored = [each for each in values if is_storable(each)]
    await add(world, *stored)
    expected = Counter(tuple(each.reason for each in misfits_of(wanted, value)) for value in stored)
    del expected[()]
    total, found = await compared(world, wanted)
    assert total == len(stored)
    assert found.total() == expected.total()


def is_storable(value: Any) -> bool:
    """Whether jsonb can hold the value, and keeps it as it is."""
    try:
        text = orjson.dumps(value)
    except (TypeError, orjson.JSONEncodeError):
        return False
    return b"\\u0000" not in text and bool(orjson.loads(text) == value)
