"""The claims that the killed sender held."""

from __future__ import annotations

from cli.demo.killing import Killing, held_by

KILLING = Killing("sender-1", "v25.0", 7, 0.0, 3, frozenset({("a", 1), ("b", 1), ("c", 1)}))


def test_a_claim_belongs_to_the_sender_that_posted_any_attempt_of_its_token() -> None:
    tokens = {("a", 1): "t1", ("x", 1): "t1", ("b", 1): "t2", ("y", 1): "t2", ("c", 1): "t3"}
    posted = {("x", 1): {"v25.0"}, ("y", 1): {"v24.0"}}
    held = held_by(KILLING, tokens, posted)
    assert held == {("a", 1), ("c", 1)}, "the killed sender posted a, the other sender posted b, and no sender posted c"


def test_only_open_claims_are_held() -> None:
    assert held_by(KILLING, dict.fromkeys([("a", 1), ("b", 1), ("c", 1), ("z", 1)], "t"), {}) == KILLING.open_claims
