"""The state diagram in docs/ equals the computed one, and the computed transitions follow the design."""

from domain.status import Status
from schemas.events import EventKind
from scripts.diagram import OLDER, PATH, RELEASE, page, transitions

MOVES = transitions()


def by(before: Status, after: Status) -> frozenset[str]:
    return MOVES.get((before, after), frozenset())


def test_the_page_equals_the_computed_one() -> None:
    assert PATH.read_text(encoding="utf-8") == page(), "run `make docs`"


def test_every_status_is_reached_and_every_kind_was_tried() -> None:
    assert {before for before, _ in MOVES} == set(Status)
    tried = frozenset().union(*MOVES.values())
    assert set(EventKind) <= {name.removesuffix(OLDER) for name in tried}


def test_read_is_final_and_only_read_follows_delivered() -> None:
    assert {after for before, after in MOVES if before is Status.READ} == {Status.READ}
    assert {after for before, after in MOVES if before is Status.DELIVERED} == {Status.DELIVERED, Status.READ}


def test_only_unsent_failed_and_retried_recipients_are_released_again() -> None:
    released = {before for (before, _), names in MOVES.items() if RELEASE in names}
    assert released == {Status.PENDING, Status.QUEUED, Status.FAILED, Status.UNKNOWN}


def test_a_webhook_resolves_an_unknown() -> None:
    assert "sent" in by(Status.UNKNOWN, Status.SENT)
    assert "delivered" in by(Status.UNKNOWN, Status.DELIVERED)


def test_an_older_failure_makes_the_newest_attempt_due_again() -> None:
    assert "failed" + OLDER in by(Status.SENT, Status.QUEUED)
