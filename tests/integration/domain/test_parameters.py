"""Template parameters in PostgreSQL: what was parsed and stored is parsed to the same again."""

from __future__ import annotations

import orjson
import psycopg
from hypothesis import HealthCheck, given, settings

from domain.parameter_texts import InvalidTemplateParameters
from domain.parameters import parse, stored
from tests.support.parameters import TEMPLATE_PARAMETERS


@given(value=TEMPLATE_PARAMETERS)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_parameters_are_the_same_after_jsonb(postgres: str, value: object) -> None:
    try:
        parameters = parse(value)
    except InvalidTemplateParameters:
        return
    with psycopg.connect(postgres) as connection:
        text = orjson.dumps(stored(parameters)).decode()
        row = connection.execute("SELECT %s::jsonb", [text]).fetchone()
    assert row is not None
    assert parse(row[0]) == parameters
