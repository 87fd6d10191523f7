"""Which schemas a version accepts: exactly its own."""

import pytest

from runtime.process import EXIT_USAGE, exit_code
from tables.schema_version import WrongSchema, judge, needed_versions

NEEDED = frozenset({1, 2, 3})


def test_the_own_schema_is_right() -> None:
    judge({1, 2, 3}, NEEDED)
    judge(set(needed_versions()))


@pytest.mark.parametrize(
    ("applied", "reason"),
    [
        (set(), "3 migrations are missing, the first is 0001.*campaigns db migrate"),
        ({1, 2}, "1 migrations are missing, the first is 0003"),
        ({1, 3}, "the first is 0002"),
        ({1, 2, 3, 4}, "newer version .*0004.*0003"),
        ({1, 2, 4}, "newer version"),
    ],
)
def test_another_schema_ends_the_process_with_64(applied: set[int], reason: str) -> None:
    with pytest.raises(WrongSchema, match=reason) as wrong:
        judge(applied, NEEDED)
    assert exit_code(wrong.value) == EXIT_USAGE
    assert exit_code(ExceptionGroup("of the API", [wrong.value])) == EXIT_USAGE
