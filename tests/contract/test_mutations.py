"""The list of mutations is up to date: each entry applies once, to the code that runs, and its tests exist."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.mutants.definitions import newest_definitions
from tests.mutants.listed import FAILED, LISTED, Mutation, Outcome, judge, mutate, read_mutations
from tests.support.paths import ROOT

MUTATIONS = read_mutations(LISTED)
COMPARES_TEXTS = "test_migrate"
"""Its tests compare the migrations with schema.sql, so that they notice every mutation of a migration."""


def name_of(mutation: Mutation) -> str:
    return f"{mutation.where}: {mutation.effect}"


@cache
def functions_in(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=name_of)
def test_each_mutation_applies_once_to_the_present_source(mutation: Mutation) -> None:
    assert bool(mutation.file) != bool(mutation.function), "an entry has a file or an SQL function"
    assert not mutation.file.startswith("tables/migrations/"), "name the function: a later migration may replace it"
    file, changed = mutate(ROOT, mutation)
    assert changed != file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        ast.parse(changed)


def test_the_last_definition_of_a_function_counts(tmp_path: Path) -> None:
    migrations = tmp_path / "tables" / "migrations"
    migrations.mkdir(parents=True)
    (migrations / "0001_a.sql").write_text("CREATE FUNCTION f(a int) RETURNS int AS $$ old $$;\n")
    later = (
        "CREATE FUNCTION g() RETURNS int\nRETURN 1;\n    CREATE OR REPLACE FUNCTION f(a int) AS $$ new $$;\n-- new\n"
    )
    (migrations / "0002_b.sql").write_text(later)
    mutation = Mutation("new", "changed", "", (), function="f")
    assert mutate(tmp_path, mutation) == (migrations / "0002_b.sql", later.replace("$$ new", "$$ changed"))
    place = newest_definitions(tmp_path)["g"]
    assert later[place.start : place.end].endswith("RETURN 1")
    with pytest.raises(ValueError, match="occurs 0 times"):
        mutate(tmp_path, Mutation("old", "changed", "", (), function="f"))


@pytest.mark.parametrize("mutation", MUTATIONS, ids=name_of)
def test_the_tests_of_each_mutation_exist(mutation: Mutation) -> None:
    assert mutation.tests
    for test in mutation.tests:
        name, _, function = test.partition("::")
        file = ROOT / name
        assert file.is_file(), name
        assert file.stem != COMPARES_TEXTS, "it compares texts, and not what they do"
        assert not function or function in functions_in(file), test


def test_no_mutation_is_listed_twice() -> None:
    changes = [(each.where, each.before, each.after) for each in MUTATIONS]
    assert len(set(changes)) == len(changes)


@pytest.mark.parametrize(
    ("code", "summary", "outcome"),
    [
        (0, "3 passed in 1.00s", Outcome.SURVIVED),
        (FAILED, "1 failed, 2 passed in 1.00s", Outcome.NOTICED),
        (FAILED, "1 error in 1.00s", Outcome.BROKEN),
        (2, "1 error in 1.00s", Outcome.BROKEN),
        (5, "no tests ran in 0.01s", Outcome.BROKEN),
    ],
)
def test_only_a_test_that_failed_has_noticed_a_mutation(code: int, summary: str, outcome: Outcome) -> None:
    assert judge(code, f"F\n\n{summary}\n") is outcome
