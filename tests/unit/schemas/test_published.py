"""The schemas for a registry are those for readers, in draft 7."""

from __future__ import annotations

import json

import pytest

from schemas.published import PUBLISHED, PublishedRecord, registered_schema_of, schema_of


@pytest.mark.parametrize("each", PUBLISHED, ids=lambda each: each.record.__name__)
def test_the_registered_schema_differs_by_its_draft_alone(each: PublishedRecord) -> None:
    registered = json.dumps(registered_schema_of(each.record))
    assert "$defs" not in registered
    as_read = registered.replace('"#/definitions/', '"#/$defs/').replace('"definitions": {', '"$defs": {', 1)
    found = {**json.loads(as_read), "$schema": schema_of(each.record)["$schema"]}
    assert found == schema_of(each.record)
