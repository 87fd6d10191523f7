"""The events of subscriptions: any order, division and duplication gives the same rows, links and answer."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.people import PersonKey, person_of
from domain.subscriptions import (
    KEYS_MAX,
    LINKS_FOLLOWED_MAX,
    FoldedSubscriptions,
    StatedSubscription,
    fold_subscriptions,
    keys_of_event,
    out_by,
    reach_of,
)
from schemas.model import Wamid
from schemas.sources import Source
from schemas.subscriptions import SubscriptionEvent, SubscriptionKind

NOON = datetime(2026, 5, 5, 12, tzinfo=UTC)
SPELLINGS = ("5215500001234", "525500001234", "15550000001", "user:US.1349")
RECIPIENTS = {"wamid.a": person_of("15550000001"), "wamid.b": person_of("525500001234")}

events = st.builds(
    lambda person, also, former, wamid, kind, source, minute: SubscriptionEvent(
        person=person if person or wamid else SPELLINGS[0],
        also_known_as=also or None,
        formerly=former or None,
        wamid=None if wamid is None else Wamid(wamid),
        kind=kind,
        source=source,
        occurred_at=NOON + timedelta(minutes=minute),
    ),
    st.none() | st.sampled_from(SPELLINGS),
    st.lists(st.sampled_from(SPELLINGS), max_size=2),
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
        stated[key] = later if known is None else known.merged(later)
    both = FoldedSubscriptions(stated, dict(one.links))
    for (first, second), same_account in other.links.items():
        both.link(first, second, same_account=same_account)
    return both


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
    keys = dict.fromkeys((person_of("525500001234"), PersonKey("user:US.1349")), True)
    stated = fold_subscriptions(given_events, RECIPIENTS).stated
    expected = set()
    for source in Source:
        own = [
            each for each in given_events
            if each.source is source and each.kind is not SubscriptionKind.IDENTIFIED
            and (named := keys_of_event(each, RECIPIENTS)) and named[0] in keys
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
    assert folded.links == {("15550000001", "525500001234"): False, ("525500001234", "user:US.1349"): True}
    same = event("5215500001234", SubscriptionKind.OPTED_OUT, "wamid.b")
    assert fold_subscriptions([same], RECIPIENTS).links == {}, "two spellings are one key"


OUT, IN, IDENTIFIED = SubscriptionKind.OPTED_OUT, SubscriptionKind.OPTED_IN, SubscriptionKind.IDENTIFIED
OLD, OLD_USER, NEW, NEW_USER, STRANGER = "15550000001", "user:US.1", "15550000002", "user:US.2", "user:US.3"
MOVED = (IDENTIFIED, NEW, (NEW_USER,), (OLD, OLD_USER))
"""The human with the old number and user id has the new ones now."""


@pytest.mark.parametrize(
    ("statements", "out"),
    [
        ([(OUT, OLD)], {OLD}),
        ([(OUT, OLD), (IDENTIFIED, OLD, (OLD_USER,))], {OLD, OLD_USER}),
        ([(OUT, OLD_USER), (IN, OLD), (IDENTIFIED, OLD, (OLD_USER,))], set()),
        ([(OUT, OLD), MOVED], {OLD, OLD_USER, NEW, NEW_USER}),
        ([(OUT, OLD), MOVED, (IN, NEW_USER)], {OLD, OLD_USER}),
        ([(OUT, OLD), MOVED, (IN, STRANGER, (OLD,))], {NEW, NEW_USER}),
        ([(OUT, STRANGER, (OLD,)), MOVED], {OLD, OLD_USER, NEW, NEW_USER, STRANGER}),
        ([MOVED, (OUT, NEW)], {OLD, OLD_USER, NEW, NEW_USER}),
        ([(IN, OLD), MOVED], set()),
    ],
    ids=[
        "an opt-out holds for its key", "for each key of the account", "an opt-in of the account revokes it",
        "it follows to the new number and stays at the old one", "an opt-in at the new number holds there",
        "a stranger at the old number revokes it for that number only", "the opt-out of a stranger holds for all",
        "an opt-out at the new number holds at the old one", "an opt-in opts nobody out",
    ],
)  # fmt: skip
def test_opt_outs_follow_humans_and_opt_ins_stay_with_their_account(
    statements: list[tuple[Any, ...]], out: set[str]
) -> None:
    """Each statement is a minute after the one before."""
    given_events = [
        SubscriptionEvent(
            person=person, also_known_as=list(more[0]) or None if more else None,
            formerly=list(more[1]) if len(more) > 1 else None, kind=kind,
            source=Source.PLATFORM if kind is IDENTIFIED else Source.KEYWORD, occurred_at=NOON + timedelta(minutes=at),
        )
        for at, (kind, person, *more) in enumerate(statements)
    ]  # fmt: skip
    folded = fold_subscriptions(given_events, {})
    keys = map(PersonKey, (OLD, OLD_USER, NEW, NEW_USER, STRANGER))
    assert {key for key in keys if out_by(reach_of(key, folded.links), folded.stated)} == out


def test_a_key_with_many_links_joins_nobody() -> None:
    hub = PersonKey("19990000000")
    others = [PersonKey(f"1555000{n:04}") for n in range(LINKS_FOLLOWED_MAX + 1)]
    links = {(other, hub): True for other in others}
    assert reach_of(others[0], links).keys() == {others[0], hub}
    assert set(others) < reach_of(hub, links).keys()
    del links[others[-1], hub]
    assert set(others[:-1]) < reach_of(others[0], links).keys()


def test_links_lead_to_a_limited_number_of_keys() -> None:
    chain = [PersonKey(f"1555000{n:04}") for n in range(KEYS_MAX + 9)]
    assert list(reach_of(chain[0], dict.fromkeys(itertools.pairwise(chain), True))) == chain[:KEYS_MAX]
