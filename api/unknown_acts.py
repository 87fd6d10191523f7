"""Retries sends with an unknown outcome, or declares them sent, as an operator decided on the page or by a command.

An act is an event per recipient, which the sink applies. A retry may send a message twice. So it first waits until
everything that was received is applied, and it is refused for sends that have been unknown for only a short time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from api import unknowns
from api.unknowns import UnknownRecipient, UnknownRefusal
from runtime.process import Transient
from runtime.settings import Settings
from schemas.events import EventKind
from schemas.reasons import RepairRefusal
from tables.database import Connection, connect
from topics.publisher import PublishFailed


@dataclass(frozen=True, slots=True)
class UnknownOptions:
    """The recipients, the act, and what the operator has confirmed. `ids` and `campaign` both limit the recipients."""

    kind: EventKind
    """`retry` or `assumed_sent`."""
    ids: tuple[UUID, ...] = ()
    campaign: UUID | None = None
    is_sure: bool = False
    is_forced: bool = False

    @property
    def is_checked(self) -> bool:
        """Whether the act may send twice, so that an answer that may still arrive refuses it."""
        return self.kind is EventKind.RETRY and not self.is_forced


@dataclass(frozen=True, slots=True)
class UnknownSelection:
    """The recipients that the act concerns, and the numbers of those that it leaves unchanged."""

    recipients: tuple[UnknownRecipient, ...]
    not_unknown: int
    """Recipients that were given by id and are not unknown, or no longer."""
    already_retrying: int
    dead_answers: int
    """Dead letters that may contain the answer of one of them."""
    left: int
    """Unknown recipients beyond the most that one run processes."""


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """Nothing was done, because the operator did not confirm it."""

    recipients: int


@dataclass(frozen=True, slots=True)
class ActPublished:
    """The events were published, and all replicas of Kafka have acknowledged them."""

    selection: UnknownSelection


ActResult = ActPublished | Unconfirmed | UnknownRefusal
CountDeadAnswers = Callable[[Connection, Settings], Awaitable[int]]
"""Counts the dead letters that may contain an answer. It raises Transient if Kafka does not answer."""


async def act(
    settings: Settings,
    options: UnknownOptions,
    on_wait: Callable[[], None] = lambda: None,
    on_selected: Callable[[UnknownSelection], None] = lambda _: None,
    count_dead: CountDeadAnswers | None = None,
) -> ActResult:
    """Publish the act for the selected recipients. Raises KafkaAway, and PublishFailed with a note.

    `on_wait` is called before the wait for received events, `on_selected` before anything is decided or published.
    `count_dead` fills `dead_answers` of the selection.
    """
    assert options.ids or options.campaign is not None, "a campaign or recipients are selected"
    url = settings.database_url.get_secret_value()
    async with await connect(url, application_name="campaigns-unknown") as connection:
        if options.is_checked and options.is_sure:
            on_wait()
            if (refusal := await unknowns.behind(connection, settings)) is not None:
                return refusal
        selection = await _select(connection, settings, options, count_dead)
    on_selected(selection)
    if not selection.recipients:
        return _nothing_left(selection)
    if not options.is_sure:
        return Unconfirmed(len(selection.recipients))
    if options.is_checked and (young := unknowns.too_young(selection.recipients, datetime.now(UTC))) is not None:
        return young
    try:
        await unknowns.publish(settings, options.kind, selection.recipients, lambda: datetime.now(UTC))
    except PublishFailed as error:
        error.add_note("Kafka has not acknowledged the events. It may have stored them. Repeating the command is safe.")
        raise
    return ActPublished(selection)


async def _select(
    connection: Connection, settings: Settings, options: UnknownOptions, count_dead: CountDeadAnswers | None
) -> UnknownSelection:
    dead_answers = await _dead_answers(connection, settings, count_dead) if options.is_checked and count_dead else 0
    found, total = await unknowns.find(connection, campaign=options.campaign, ids=options.ids or None)
    is_retry = options.kind is EventKind.RETRY
    recipients = tuple(each for each in found if not (is_retry and each.is_retrying))
    return UnknownSelection(
        recipients,
        not_unknown=len(set(options.ids) - {each.recipient_id for each in found}),
        already_retrying=len(found) - len(recipients),
        dead_answers=dead_answers,
        left=max(0, total - unknowns.ROWS_MAX),
    )


async def _dead_answers(connection: Connection, settings: Settings, count_dead: CountDeadAnswers) -> int:
    """Dead letters that may contain an answer. They are no backlog, because the stages have already passed them."""
    try:
        return await count_dead(connection, settings)
    except Transient:
        return 0


def _nothing_left(selection: UnknownSelection) -> UnknownRefusal:
    if selection.already_retrying:
        message = "a retry was already requested; the recipients are released when their campaign sends"
        return UnknownRefusal(RepairRefusal.ASKED_BEFORE, message)
    return UnknownRefusal(RepairRefusal.NOT_UNKNOWN, "none of the recipients is unknown, or no longer")
