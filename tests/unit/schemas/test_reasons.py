"""Every reason code that the code can produce is in `schemas.reasons`, and every code there is produced."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from schemas.reasons import REASON_CODES, FailureReason, ReasonCode, SkipReason
from tests.support.paths import ROOT

PIPELINE = ("schemas", "domain", "topics", "tables", "sinks", "streams", "producers", "api", "operations", "cli")
CARRIERS = {
    "BadItem", "DeadLetter", "IgnoredStatus", "InvalidPhoneNumber", "InvalidRecipient", "MalformedItem", "NotOurs",
    "NotSent", "OtherItem", "Refusal", "RefusedStatus", "UnknownOutcome",
}  # fmt: skip
"""Classes that carry a reason code."""

PROSE = {"domain/history.py"}
"""Files whose `reason` is a sentence for an operator."""

WRITTEN_BY_SQL = {*SkipReason, FailureReason.ATTEMPTS_EXHAUSTED}


@cache
def parsed() -> dict[str, ast.AST]:
    paths = [path for package in PIPELINE for path in sorted((ROOT / package).rglob("*.py"))]
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def trees(without: set[str] = PROSE) -> Iterator[tuple[str, ast.AST]]:
    for name, tree in parsed().items():
        if name not in without | {"schemas/reasons.py"}:
            yield name, tree


def literal_reasons(tree: ast.AST) -> Iterator[ast.expr]:
    """Strings that are written where a reason code belongs."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            given = [keyword.value for keyword in node.keywords if keyword.arg == "reason"]
            given += node.args[:1] if called in CARRIERS else []
        elif isinstance(node, ast.Assign) and any(getattr(name, "id", "") == "reason" for name in node.targets):
            given = [node.value]
        else:
            continue
        for value in given:
            yield from (part for part in ast.walk(value) if isinstance(part, ast.Constant) and part.value)


def test_no_reason_code_is_written_as_a_literal() -> None:
    found = {
        f"{name}:{part.lineno}: {part.value}"
        for name, tree in trees()
        for part in literal_reasons(tree)
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and re.fullmatch(r"[a-z0-9_]+", part.value)
    }
    # `http_<status>` and `http_<status>_code_<code>` are described in the docstring of UnclearAnswer.
    assert {each for each in found if each.rpartition(" ")[2] not in {"http_", "_code_"}} == set()


@cache
def attributes() -> frozenset[tuple[str, str]]:
    """Each `name.attribute` of the code."""
    return frozenset(
        (node.value.id, node.attr)
        for _, tree in trees(without=set())
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    )


@pytest.mark.parametrize("table", REASON_CODES)
def test_every_code_is_produced(table: type[ReasonCode]) -> None:
    wanted = {(table.__name__, code.name) for code in table if code not in WRITTEN_BY_SQL}
    assert wanted - attributes() == set()


def test_every_table_is_listed() -> None:
    assert set(REASON_CODES) == set(ReasonCode.__subclasses__())


def test_the_sql_writes_the_codes_of_skips_and_no_others() -> None:
    sql = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "tables/sql").glob("*.sql")))
    assert {code for code in WRITTEN_BY_SQL if f"'{code}'" not in sql} == set()
    skipping = re.findall(r"refusal IN \(([^)]*)\) THEN 'skipped'", sql)
    assert skipping
    assert {code for codes in skipping for code in re.findall(r"'(\w+)'", codes)} <= {code.value for code in SkipReason}


@pytest.mark.parametrize("table", REASON_CODES)
def test_a_code_is_a_plain_word_and_its_meaning_a_sentence(table: type[ReasonCode]) -> None:
    for code in table:
        assert re.fullmatch(r"[a-z0-9_]+", code), code
        assert re.fullmatch(r"[A-Z].*\.", code.meaning), code
        assert code.used_by
