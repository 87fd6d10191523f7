"""What the figures of the growth mean."""

from __future__ import annotations

from bench.growth.stage import grown


def test_a_request_that_grew_much_is_named_and_the_others_are_together() -> None:
    assert list(grown({"list": 1.1, "search": 11.7, "stats": 1.02}, "From 1 to 9 rows")) == [
        "From 1 to 9 rows the median of `search` grew 11.7 times.",
        "From 1 to 9 rows no other median grew more than 1.1 times.",
    ]


def test_where_each_request_grew_much_there_is_no_other() -> None:
    assert list(grown({"search": 2.0}, "From 1 to 9 rows")) == [
        "From 1 to 9 rows the median of `search` grew 2.0 times."
    ]
