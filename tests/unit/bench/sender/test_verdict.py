"""The verdict on the posts, events and ledger rows of a run."""

from __future__ import annotations

import pytest

from bench.sender.verdict import ReceivedPost, double_sends, late_p99_ms, right_share

EXPECTED = {"a": "1", "b": "2"}
POSTS = [ReceivedPost("a", "n", "w1", 0.0), ReceivedPost("b", "n", "w2", 0.1)]
EVENTS = {"1": {"w1"}, "2": {"w2"}}
LEDGER = {"1": "w1", "2": "w2"}


def test_a_run_is_right_if_post_event_and_ledger_agree() -> None:
    assert right_share(EXPECTED, POSTS, EVENTS, LEDGER) == 1.0
    assert double_sends(POSTS) == 0


@pytest.mark.parametrize(
    ("posts", "events", "ledger"),
    [
        pytest.param(POSTS[:1], EVENTS, LEDGER, id="a message was not posted"),
        pytest.param([*POSTS, POSTS[1]], EVENTS, LEDGER, id="a message was posted twice"),
        pytest.param(POSTS, {"1": {"w1"}}, LEDGER, id="an event is missing"),
        pytest.param(POSTS, {"1": {"w1"}, "2": {"w1"}}, LEDGER, id="an event has another id"),
        pytest.param(POSTS, {"1": {"w1"}, "2": {"w2", "unknown"}}, LEDGER, id="an event has another kind"),
        pytest.param(POSTS, EVENTS, {"1": "w1"}, id="an attempt is not settled"),
    ],
)
def test_one_of_two_is_wrong_if(posts: list[ReceivedPost], events: dict[str, set[str]], ledger: dict[str, str]) -> None:
    assert right_share(EXPECTED, posts, events, ledger) == 0.5


def test_each_post_after_the_first_of_an_attempt_is_a_double_send() -> None:
    assert double_sends([*POSTS, POSTS[0], POSTS[0]]) == 2


def test_posts_are_late_against_the_plan_of_their_number() -> None:
    on_time = [ReceivedPost(str(n), "n", "", 5 + n / 10) for n in range(100)]
    paused = [ReceivedPost(str(n), "n", "", post.at + (n > 50)) for n, post in enumerate(on_time)]
    other = [ReceivedPost(post.callback, "m", "", post.at) for post in on_time]
    assert late_p99_ms(on_time, rate=10) == pytest.approx(0, abs=1e-6)
    assert late_p99_ms(paused, rate=10) == pytest.approx(1000)
    assert late_p99_ms([*on_time, *other], rate=10) == pytest.approx(0, abs=1e-6)
