"""The moves of people, and of the processes that hear them: webhooks, the reconciler, the sink, the watch over both.

People opt out and in under any name, and change their number. Their webhooks are decided by domain/inbound.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from random import Random

from domain.inbound import PersonEvents, Receipt, decide_message, decide_preference, opt_out_of_failure
from domain.keywords import Keywords
from domain.people import USER, PersonKey
from domain.webhook_age import AppliedMarks
from schemas.events import EventKind, Origin
from schemas.webhook_people import MessageItem, PersonNames, PreferenceItem
from schemas.webhook_statuses import StatusItem
from tests.properties.pipeline.laws import Heard
from tests.properties.pipeline.limits import names
from tests.properties.pipeline.rows import Key
from tests.properties.pipeline.world import STOPPED, Move, World

KEYWORDS = Keywords.of()
ORIGIN = Origin(topic="webhooks.raw", partition=0, offset=0)
HEARD_MAX = 8
"""The limit of webhooks about people in a walk."""
RAW, EVENTS, STATEMENTS = ("webhooks.raw", 0), ("recipient.events", 0), ("subscription.events", 0)


def named(*keys: PersonKey) -> PersonNames:
    """Names as an item has them."""
    numbers = [each for each in keys if not each.startswith(USER)]
    return PersonNames(
        next(iter(numbers), None), tuple(each.removeprefix(USER) for each in keys if each not in numbers)
    )


class Persons:
    """The humans of a walk."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._stopped: set[Key] = set()
        self._always = list(self._statements())

    def moves(self) -> Iterator[Move]:
        """What people may do now."""
        world = self._world
        if len(world.record.heard) >= HEARD_MAX:
            return
        yield from self._always
        for key in world.accepted:
            if world.is_wamid_known(key):
                yield Move("a person answers STOP", 0.1, partial(self._write, "STOP", PersonNames(), key))
                newer = names(world.human_of(key[0]))[2]
                yield Move("a new number answers Hello", 0.06, partial(self._write, "Hello", named(newer), key))
            if key not in self._stopped and key not in world.failed_later:
                yield Move("webhook failed, because they stopped", 0.06, partial(self._fail, key))

    def _statements(self) -> Iterator[Move]:
        """What each human may do at any time."""
        for human in sorted({self._world.human_of(recipient) for recipient in self._world.tables.rows}):
            number, user, newer = names(human)
            for name in (number, user, newer):
                yield Move("a person writes STOP", 0.1, partial(self._write, "STOP", named(name)))
                yield Move("a person writes START", 0.04, partial(self._write, "START", named(name)))
            yield Move("a person stops marketing", 0.08, partial(self._prefer, "stop", named(user)))
            yield Move("a person resumes marketing", 0.05, partial(self._prefer, "resume", named(user)))
            yield Move("names of a person", 0.12, partial(self._write, "Hello", named(number, user)))
            yield Move("a person has a new number", 0.12, partial(self._change, named(number, user), named(newer)))

    def _write(self, text: str, who: PersonNames, answered: Key | None = None) -> None:
        now = self._world.now
        wamid = None if answered is None else self._world.accepted[answered]
        found = decide_message(MessageItem("text", who, now, None, wamid, (text,)), self._receipt(), KEYWORDS)
        assert isinstance(found, PersonEvents) or text == "Hello", "the item is readable"
        self._acknowledge(found)

    def _prefer(self, value: str, who: PersonNames) -> None:
        now = self._world.now
        self._acknowledge(decide_preference(PreferenceItem(who, "marketing_messages", value, now), self._receipt()))

    def _change(self, former: PersonNames, who: PersonNames) -> None:
        item = MessageItem("system", who, self._world.now, former=former)
        self._acknowledge(decide_message(item, self._receipt(), KEYWORDS))

    def _fail(self, key: Key) -> None:
        """Meta reports that a message failed, because its person has stopped marketing messages."""
        world, wamid = self._world, self._world.accepted[key]
        assert wamid is not None, "an accepted message has an id"
        self._stopped.add(key)
        world.failed_later.add(key)
        event = world.event(EventKind.FAILED, key, wamid=wamid, failure=STOPPED)
        who = named(world.tables.rows[key[0]].person, world.user_id_of(key[0]))
        item = StatusItem(wamid, "failed", world.now, recipient_id=who.number, recipient_user_id=who.user_ids[0])
        self._acknowledge(PersonEvents(event, opt_out_of_failure(item, event, self._receipt())))

    def _receipt(self) -> Receipt:
        return Receipt(self._world.now, ORIGIN, self._world.now)

    def _acknowledge(self, found: object) -> None:
        if isinstance(found, PersonEvents):
            events = () if found.event is None else (found.event,)
            statements = () if found.subscription is None else (found.subscription,)
            self._world.record.heard.append(Heard(self._world.seconds, events, statements))


class PeopleProcesses:
    """The reconciler of webhooks about people, the sink of subscriptions, and the watch over the webhooks."""

    def __init__(self, world: World, random: Random) -> None:
        self._world = world
        self._random = random
        self._marks = AppliedMarks()

    def moves(self) -> Iterator[Move]:
        """What the processes may do now. Each may be late, and repeat what it did before."""
        world = self._world
        if world.reconciled < len(world.record.heard):
            yield Move("reconciler reads", 1.5, self.reconcile)
        if world.reconciled:
            yield Move("reconciler reads again", 0.1, partial(self._publish, world.record.heard[world.reconciled - 1]))
        waiting = self._unapplied()
        if waiting:
            yield Move("apply the next statement", 1, partial(world.state, waiting[:1]))
            yield Move("apply any statements", 1, partial(self._apply_some, waiting))
        if world.statements:
            yield Move("replay statements", 0.2, self._replay)
        if world.tables.waiting:
            yield Move("waiting statements are tried", 1, world.try_waiting)
        if world.tables.opt_outs:
            yield Move("opt-outs of answers are published", 1, self.publish_opt_outs)
        yield Move("watch webhooks", 0.7, self.watch)

    def live(self) -> None:
        """Do everything that is left."""
        while self._world.reconciled < len(self._world.record.heard):
            self.reconcile()
        self.publish_opt_outs()
        waiting = self._unapplied()
        if waiting:
            self._world.state(waiting)
        self._world.try_waiting()
        self.watch()

    def reconcile(self) -> None:
        """Publish the events of the next webhook."""
        self._publish(self._world.record.heard[self._world.reconciled])
        self._world.reconciled += 1

    def _publish(self, heard: Heard) -> None:
        for event in heard.events:
            self._world.publish_event(event)
        self._world.statements += heard.statements

    def publish_opt_outs(self) -> None:
        """Publish the opt-outs that answers of the Cloud API stated."""
        self._world.statements += self._world.tables.opt_outs
        self._world.tables.opt_outs.clear()

    def watch(self) -> None:
        """Store the moment up to which all webhooks are applied."""
        world = self._world
        self._marks.mark(world.now, {RAW: len(world.record.heard)})
        self._marks.reconcile({RAW: world.reconciled}, {EVENTS: len(world.events), STATEMENTS: len(world.statements)})
        through = self._marks.apply({
            EVENTS: _prefix(world.applied, len(world.events)), STATEMENTS: _prefix(world.stated, len(world.statements))
        })  # fmt: skip
        if through is not None:
            world.tables.applied_through = through

    def _unapplied(self) -> list[int]:
        return [at for at in range(len(self._world.statements)) if at not in self._world.stated]

    def _apply_some(self, waiting: list[int]) -> None:
        self._world.state(self._random.sample(waiting, self._random.randint(1, min(3, len(waiting)))))

    def _replay(self) -> None:
        end = self._random.randint(1, len(self._world.statements))
        self._world.state(list(range(self._random.randint(0, end - 1), end)))


def _prefix(applied: set[int], end: int) -> int:
    """The place before which everything is applied."""
    return next((at for at in range(end) if at not in applied), end)
