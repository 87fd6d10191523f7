"""Names that were published are not published again while they are remembered."""

from __future__ import annotations

from datetime import UTC, datetime

from schemas.sources import Source
from schemas.subscriptions import SubscriptionEvent, SubscriptionKind
from streams.reconciler.known_names import KnownNames


def names(person: str, kind: SubscriptionKind = SubscriptionKind.IDENTIFIED) -> SubscriptionEvent:
    at = datetime(2026, 5, 5, 12, tzinfo=UTC)
    return SubscriptionEvent(
        person=person, also_known_as=["user:US.1"], kind=kind, source=Source.PLATFORM, occurred_at=at
    )


def test_names_are_known_after_they_were_published() -> None:
    known = KnownNames()
    assert not known.are_known(names("15550000001"))
    known.remember([names("15550000001")])
    assert known.are_known(names("15550000001"))
    assert not known.are_known(names("15550000001").model_copy(update={"formerly": ["15550000002"]}))


def test_an_opt_out_is_never_known() -> None:
    known = KnownNames()
    known.remember([names("15550000001", SubscriptionKind.OPTED_OUT)])
    assert not known.are_known(names("15550000001", SubscriptionKind.OPTED_OUT))
    assert not known.are_known(names("15550000001"))


def test_the_oldest_names_are_forgotten() -> None:
    known = KnownNames(2)
    known.remember(map(names, ["15550000001", "15550000002", "15550000003"]))
    assert [known.are_known(names(f"1555000000{n}")) for n in (1, 2, 3)] == [False, True, True]
