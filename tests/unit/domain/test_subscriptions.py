"""The events of subscriptions: any order, division and duplication gives the same rows, links and answer."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from domain.people import PersonKey, person_of
from domain.subscriptions import FoldedSubscriptions, StatedSubscription, fold_subscriptions, keys_of_event, out_by
from schemas.model import Wamid
from schemas.sources import Source
from schemas.subscriptions import SubscriptionEvent, SubscriptionKind

NOON = datetime(2026, 5, 5, 12, tzinfo=UTC)
SPELLINGS = ("5215500001234", "525500001234", "15550000001", "user:US.1349")
RECIPIENTS = {"wamid.a": person_of("15550000001"), "wamid.b": person_of("525500001234")}

events = st.builds(
    lambda person, also, wamid, kind, source, minute: SubscriptionEvent(
        person=person if person or wamid else SPELLINGS[0],
        also_known_as=also or None,
        wamid=None if wamid is None else Wamid(wamid),
        kind=kind,
        source=source,
        occurred_at=NOON + timedelta(minutes=minute),
    ),
    st.none() | st.sampled_from(SPELLINGS),
    st.lists(st.sampled_from(SPELLINGS), max_size=2),
    st.none() | st.sampled_from(["wamid.a", "wamid.b", "wamid.unknown"]),
    st.sampled_from(SubscriptionKind),
    st.sampled_from(Source),
    st.integers(0, 3),
)


def merged(one: FoldedSubscriptions, other: FoldedSubscriptions) -> FoldedSubscriptions:
    """What the database makes of two batches."""
    stated = dict(one.stated)
    for key, later in other.stated.items():
        known = stated.get(key)
        stated[key] = later if known is None or later.rank > known.rank else known
    return FoldedSubscriptions(stated, one.links | other.links)


@given(st.lists(events, max_size=12), st.randoms(use_true_random=False), st.integers(1, 4))
def test_any_order_division_and_duplication_gives_the_same(
    given_events: list[SubscriptionEvent], chance: random.Random, size: int
) -> None:
    whole = fold_subscriptions(given_events, RECIPIENTS)
    again = [*given_events, *(each for each in given_events if chance.random() < 0.5)]
    chance.shuffle(again)
    parts = [fold_subscriptions(again[at : at + size], RECIPIENTS) for at in range(0, len(again), size)]
    assert reduce(merged, parts, FoldedSubscriptions()) == whole


@given(st.lists(events, min_size=1, max_size=12))
def test_a_person_is_out_by_the_sources_whose_latest_statement_is_an_opt_out(
    given_events: list[SubscriptionEvent],
) -> None:
    keys = {person_of("525500001234"), PersonKey("user:US.1349")}
    stated = fold_subscriptions(given_events, RECIPIENTS).stated
    expected = set()
    for source in Source:
        own = [
            each for each in given_events
            if each.source is source and (named := keys_of_event(each, RECIPIENTS)) and named[0] in keys
        ]  # fmt: skip
        newest = max((each.occurred_at for each in own), default=None)
        if SubscriptionKind.OPTED_OUT in {each.kind for each in own if each.occurred_at == newest}:
            expected.add(source)
    assert set(out_by(keys, stated)) == expected


def event(
    person: str | None, kind: SubscriptionKind, wamid: str | None = None, also: str | None = None
) -> SubscriptionEvent:
    return SubscriptionEvent(
        person=person, also_known_as=[also] if also else None, wamid=Wamid(wamid) if wamid else None, kind=kind,
        source=Source.KEYWORD, occurred_at=NOON,
    )  # fmt: skip


def test_an_event_that_names_only_a_message_is_the_recipients() -> None:
    nameless = event(None, SubscriptionKind.OPTED_OUT, "wamid.b")
    assert fold_subscriptions([nameless], {}) == FoldedSubscriptions()
    out = StatedSubscription(NOON, subscribed=False)
    assert fold_subscriptions([nameless], RECIPIENTS).stated == {("525500001234", Source.KEYWORD): out}


def test_all_names_of_an_event_are_one_person() -> None:
    named = event("5215500001234", SubscriptionKind.OPTED_OUT, "wamid.a", "user:US.1349")
    folded = fold_subscriptions([named], RECIPIENTS)
    assert set(folded.stated) == {("525500001234", Source.KEYWORD)}
    assert folded.links == {("15550000001", "525500001234"), ("525500001234", "user:US.1349")}
    same = event("5215500001234", SubscriptionKind.OPTED_OUT, "wamid.b")
    assert fold_subscriptions([same], RECIPIENTS).links == set(), "two spellings are one key"
