"""The sink of subscriptions on a real Postgres and broker: the laws of the domain, waiting events, and bad records."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from domain.lifecycle import Action
from domain.people import PersonKey, person_of
from domain.subscriptions import fold_subscriptions, out_by, reach_of
from schemas.codec import encode
from schemas.dead_letters import read_headers
from schemas.events import EventKind
from schemas.model import Wamid
from schemas.sources import Source
from schemas.subscriptions import SubscriptionEvent, SubscriptionKind
from sinks.subscriptions import apply_subscriptions
from tables import campaigns, ledger
from tables.database import Connection
from tables.ledger import Claim, ClaimResult, Settlement
from tables.new_recipients import NewRecipient
from tables.subscriptions import read, state_by_operator, unpublished
from tests.support.world import World

NOON = datetime(2026, 5, 5, 12, tzinfo=UTC)
OUT, IN = SubscriptionKind.OPTED_OUT, SubscriptionKind.OPTED_IN
USER = "user:US.13491208655302741918"
WAITING = "SELECT count(*)::int FROM waiting_subscriptions"


def stated(
    person: str | None, kind: SubscriptionKind = OUT, source: Source = Source.KEYWORD, minute: float = 0,
    also: str | None = None, wamid: str | None = None, former: str | None = None,
) -> SubscriptionEvent:  # fmt: skip
    return SubscriptionEvent(
        person=person, also_known_as=[also] if also else None, wamid=Wamid(wamid) if wamid else None, kind=kind,
        source=source, occurred_at=NOON + timedelta(minutes=minute), formerly=[former] if former else None,
    )  # fmt: skip


async def reached(connection: Connection, key: str) -> dict[PersonKey, bool]:
    cursor = await connection.execute("SELECT person, bool_or(same_account) FROM reach_of(%s) GROUP BY 1", [key])
    return {PersonKey(person): same_account for person, same_account in await cursor.fetchall()}


@pytest.mark.parametrize("seed", range(12))
async def test_any_order_division_and_replay_gives_what_the_domain_says(connection: Connection, seed: int) -> None:
    chance = random.Random(seed)
    names = ("5215500001234", "525500001234", "15550000001", "15550000002", USER, "user:US.2")
    events = [
        stated(chance.choice(names), chance.choice(list(SubscriptionKind)), chance.choice(list(Source)),
               chance.randrange(4), chance.choice([None] * 9 + [*names]), former=chance.choice([None] * 9 + [*names]))
        for _ in range(30)
    ]  # fmt: skip
    rows = []
    for _ in range(3):
        await connection.execute("TRUNCATE subscriptions, person_links")
        again = events + chance.sample(events, 10)
        chance.shuffle(again)
        while again:
            size = chance.randint(1, 8)
            await apply_subscriptions(connection, again[:size])
            again = again[size:]
        cursor = await connection.execute(
            "SELECT person, source, subscribed, occurred_at, opted_out_at FROM subscriptions"
        )
        rows.append(set(await cursor.fetchall()))
    folded = fold_subscriptions(events, {})
    expected = {(*key, last.subscribed, last.occurred_at, last.opted_out_at) for key, last in folded.stated.items()}
    assert rows == [expected] * 3
    for name in names:
        keys = reach_of(person_of(name), folded.links)
        assert await reached(connection, person_of(name)) == keys
        assert set((await read(connection, name)).out_by) == set(out_by(keys, folded.stated))
        cursor = await connection.execute("SELECT is_unsubscribed(%s)", [person_of(name)])
        assert await cursor.fetchone() == (bool(out_by(keys, folded.stated)),)


@pytest.mark.parametrize("seed", range(8))
async def test_each_human_gets_one_message_unless_opted_out_whatever_the_order(world: World, seed: int) -> None:
    """Rows of one human under several names, and what webhooks report of them, in any order and more than once."""
    chance = random.Random(seed)
    numbers, users = [f"1555000000{n}" for n in range(1, 6)], [f"US.{n}" for n in range(1, 4)]
    rows = [NewRecipient(number) for number in numbers] + [NewRecipient(None, user_id=user) for user in users]
    campaign = await world.create_campaign(0)
    await campaigns.add_recipients(world.connection, campaign, rows)
    await world.act(campaign, Action.ACTIVATE)
    jobs = list((await world.release()).jobs)
    names = [*numbers, *(f"user:{user}" for user in users)]
    events = [
        stated(chance.choice(names), chance.choice([*SubscriptionKind, SubscriptionKind.IDENTIFIED]),
               minute=chance.randrange(9), also=chance.choice([None, *names]),
               former=chance.choice([None, None, *names]))
        for _ in range(7)
    ]  # fmt: skip
    published = events + chance.sample(events, 3)
    chance.shuffle(published)
    for event in published:
        await apply_subscriptions(world.connection, [event])
    verdicts: dict[PersonKey, str] = {}
    chance.shuffle(jobs)
    while jobs:
        part, jobs = jobs[:3], jobs[3:]
        token = uuid4()
        for job, verdict in zip(part, await world.claim(part, token=token), strict=True):
            if verdict is ClaimResult.BUSY:
                jobs.append(job)
                continue
            if verdict is ClaimResult.CLAIMED:
                sent = Settlement(Claim(job.recipient_id, job.attempt, token), "accepted", "{}")
                await ledger.settle(world.connection, [sent])
            verdicts[person_of(job.phone_number or f"user:{job.user_id}")] = verdict.value
    folded = fold_subscriptions(events, {})
    out = {key for key in verdicts if out_by(reach_of(key, folded.links), folded.stated)}
    humans = {frozenset(reach_of(key, folded.links)) for key in verdicts}
    expected = [(1 if human - out else 0, len(human)) for human in sorted(humans, key=sorted)]
    found = [
        (sum(verdicts[key] == "claimed" for key in human), sum(key in verdicts for key in human))
        for human in sorted(humans, key=sorted)
    ]
    assert found == expected
    assert not {key for key in out if verdicts[key] == "claimed"}
    reasons = (
        "SELECT event::json ->> 'skip_reason', count(*)::int FROM send_ledger WHERE outcome = 'skipped' GROUP BY 1"
    )
    assert dict(await world.run(reasons)).get("opted_out", 0) == len(out)


@pytest.mark.usefixtures("topics")
class TestSink:
    """A running sink."""

    async def test_opt_outs_of_each_source_are_kept_apart_and_bad_records_harm_no_other(self, world: World) -> None:
        await world.publish_subscriptions(
            stated("15550000001"),
            stated("15550000001", IN, Source.PLATFORM, 1),
            stated("5215500001234", OUT, Source.PLATFORM, also=USER),
            stated("15550000002", OUT, Source.OPERATOR),
            stated("15550000002", IN, Source.OPERATOR, 1),
        )
        await world.publish(world.subscriptions, (b"x", b'{"kind": "no such"}'))
        async with world.running_sinks(2):
            await world.wait_for_applied(6, world.subscriptions)
        found = {name: (await read(world.connection, name)).out_by for name in ("15550000001", USER, "15550000002")}
        assert found == {"15550000001": (Source.KEYWORD,), USER: (Source.PLATFORM,), "15550000002": ()}
        [letter] = await world.read(world.subscriptions + ".dead")
        headers = letter.headers()
        assert isinstance(headers, list)
        assert (read_headers(headers).stage, read_headers(headers).reason) == ("subscriptions", "malformed")

    async def test_an_opt_out_by_its_message_waits_until_the_message_is_known(self, world: World) -> None:
        """Two of the three events name a person that the campaign does not have."""
        nameless, aliased, later = await world.add_recipients(3)
        events = {person: world.event(person, EventKind.ACCEPTED) for person in (nameless, aliased, later)}
        wamids = {person: event.wamid for person, event in events.items()}
        await world.publish_subscriptions(
            stated(None, wamid=wamids[nameless]),
            stated(USER, source=Source.PLATFORM, wamid=wamids[aliased]),
            stated("15559990001", wamid="wamid.of-another-system"),
        )
        people = dict(await world.run("SELECT id, person FROM campaign_recipients"))
        async with world.running_sinks():
            await world.wait_for_value(3, WAITING)
            assert (await read(world.connection, USER)).out_by == (Source.PLATFORM,), "its own key does not wait"
            assert (await read(world.connection, people[aliased])).subscribed
            await world.publish_events(*events.values())
            await world.wait_for_value(1, WAITING)
            out = {person: (await read(world.connection, people[person])).out_by for person in people}
            assert out == {nameless: (Source.KEYWORD,), aliased: (Source.PLATFORM,), later: ()}
            await world.publish_subscriptions(stated(None, IN, minute=1, wamid=wamids[nameless]))
            await world.wait_for_value(True, "SELECT NOT is_unsubscribed(%s)", people[nameless])
            await world.run("UPDATE waiting_subscriptions SET waits_since = waits_since - interval '25 hours'")
            await world.wait_for_value(0, WAITING)
        assert (await read(world.connection, "15559990001")).out_by == (Source.KEYWORD,)

    async def test_a_locked_row_delays_its_own_statement_and_no_other(self, world: World) -> None:
        await state_by_operator(world.connection, "15550000001", subscribed=False)
        [act] = await unpublished(world.connection, 10)
        revoked = act.event.model_copy(update={"kind": IN, "occurred_at": act.event.occurred_at + timedelta(minutes=1)})
        async with world.running_sinks():
            async with world.another("campaigns-psql") as other, other.transaction():
                await other.execute("SELECT FROM subscriptions FOR UPDATE")
                names = stated("15550000001", SubscriptionKind.IDENTIFIED, Source.OPERATOR, also=USER)
                names = names.model_copy(update={"occurred_at": revoked.occurred_at})
                await world.publish_subscriptions(revoked, names, stated("15550000002"))
                await world.wait_for_value(True, "SELECT is_unsubscribed('15550000002')")
                await world.wait_for_value(2, "SELECT count(*)::int FROM person_links")
                assert await world.run("SELECT is_locked FROM waiting_subscriptions") == [(True,)]
            await world.wait_for_value(0, WAITING)
        assert (await read(world.connection, "15550000001")).subscribed

    async def test_a_value_that_postgres_refuses_is_dead_lettered_alone(self, world: World) -> None:
        bad = stated("15550000001").model_copy(update={"person": "1555\x000000"})
        await world.publish(world.subscriptions, *((b"same", encode(each)) for each in (bad, stated("15550000002"))))
        async with world.running_sinks():
            await world.wait_for_applied(2, world.subscriptions)
        assert not (await read(world.connection, "15550000002")).subscribed
        assert len(await world.read(world.subscriptions + ".dead")) == 1
