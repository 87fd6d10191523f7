"""The examples of docs/rest.md are requests that the API takes."""

from __future__ import annotations

import re
import shlex
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from pydantic import BaseModel
from starlette.routing import compile_path

from api import bodies
from api.access import BODY_BYTES_MAX
from api.additions import judge
from api.bodies import RECIPIENTS_MAX, RecipientsIn
from api.openapi import ProblemBody
from domain.json_values import read_json
from tests.support.openapi import described_api
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "rest.md").read_text(encoding="utf-8")
EXAMPLES = [
    shlex.split(command.replace("\\\n", " "))
    for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    for command in block.split("\n\n")
]
DOCUMENT = described_api()
CAMPAIGN = "018f0000-0000-7000-8000-000000000000"


def option(words: list[str], name: str) -> str | None:
    return words[words.index(name) + 1] if name in words else None


def operation(words: list[str]) -> tuple[dict[str, Any], str]:
    """The described operation of an example, and its query."""
    [url] = [word for word in words if word.startswith("http://127.0.0.1:8000/")]
    parts = urlsplit(url.replace("$ID", CAMPAIGN))
    method = (option(words, "-X") or "GET").lower()
    matching = [
        methods[method]
        for path, methods in DOCUMENT["paths"].items()
        if compile_path(path)[0].match(parts.path) and method in methods
    ]
    return matching[0], parts.query


def test_the_page_has_examples() -> None:
    assert len(EXAMPLES) >= 9
    assert all(words[0] == "curl" for words in EXAMPLES)


@pytest.mark.parametrize("words", EXAMPLES, ids=lambda words: words[-1][:40])
def test_an_example_is_a_request_that_the_document_describes(words: list[str]) -> None:
    found, query = operation(words)
    parameters = {each["name"] for each in found.get("parameters", ())}
    assert {name for name, _ in parse_qsl(query, strict_parsing=bool(query))} <= parameters
    if any(word.startswith("Idempotency-Key") for word in words):
        assert "idempotency-key" in parameters
    body = option(words, "-d")
    if option(words, "--data-binary") is not None:
        assert option(words, "-H") in {f"Content-Type: {each}" for each in found["requestBody"]["content"]}
        return
    if body is None:
        assert not found.get("requestBody", {}).get("required")
        return
    [name] = re.findall(r"schemas/(\w+)", str(found["requestBody"]))
    model: type[BaseModel] = getattr(bodies, name)
    taken = model.model_validate(read_json(body.encode()))
    if isinstance(taken, RecipientsIn):
        judged = judge(taken.phone_numbers, taken.country)
        assert (judged.refused, judged.repeated) == ([], [])


def test_the_error_of_the_page_is_a_problem() -> None:
    [example] = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert ProblemBody.model_validate_json(example).errors[0].field == "daily_limit"


def test_the_limits_of_the_page_are_those_of_the_code() -> None:
    assert f"| {RECIPIENTS_MAX:,} |" in PAGE
    assert f"| {BODY_BYTES_MAX // 1024**2} MiB, within 30 s |" in PAGE
