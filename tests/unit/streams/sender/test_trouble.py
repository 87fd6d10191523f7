"""What a sender has been answered and Postgres may not know yet."""

import math

from domain.signals import Signals
from streams.sender.trouble import Trouble

BAD_NUMBER, BAD_TOKEN, GOOD = Signals("nnbng"), Signals("nnnhg"), Signals("ggggg")


async def test_a_trouble_is_pending_until_it_is_settled() -> None:
    now = 5.0
    trouble = Trouble(lambda: now)
    with trouble.settling("1", BAD_NUMBER):
        [pending] = trouble.pending("1")
        assert not trouble.pending("2")
        assert trouble.settled_at("1") == -math.inf
        now = 7.0
    assert pending.done()
    assert not trouble.pending("1")
    assert (trouble.settled_at("1"), trouble.settled_at("2")) == (7.0, -math.inf)


async def test_a_trouble_of_the_account_concerns_every_number() -> None:
    trouble = Trouble(lambda: 5.0)
    with trouble.settling("1", BAD_TOKEN):
        assert len(trouble.pending("2")) == 1
    assert trouble.settled_at("2") == 5.0


async def test_a_good_answer_is_no_trouble() -> None:
    trouble = Trouble(lambda: 5.0)
    with trouble.settling("1", GOOD):
        assert not trouble.pending("1")
    assert trouble.settled_at("1") == -math.inf
