"""The events of outcomes: the short way of an accepted message writes the same bytes as the model."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.outcomes import WAMID_CHARS_MAX, Accepted, NotSent, Rejected, UnknownOutcome
from domain.people import PersonKey
from domain.signals import signals_of
from schemas.codec import PRODUCER, decode
from schemas.events import RecipientEvent
from schemas.jobs import SendJob
from schemas.model import CampaignId, RecipientId
from streams.sender.events import Events, FinalOutcome, person_of_job, settlement
from tables.ledger import Claim

CLAIM = Claim(UUID(int=7), 3, UUID(int=9))
NUMBERED = SendJob(
    producer=PRODUCER,
    campaign_id=CampaignId(UUID(int=1)),
    recipient_id=RecipientId(UUID(int=7)),
    attempt=3,
    phone_number_id="106540352242922",
    phone_number="15550000001",
    user_id="US.1234567",
    template_name="spring_offer",
    language_code="en_US",
    template_parameters=None,
    send_before=datetime(2026, 1, 1, tzinfo=UTC),
)
NAMELESS = NUMBERED.model_copy(update={"phone_number": None})
JOBS = (NUMBERED, NAMELESS)
NAMES = st.lists(st.sampled_from([*map(person_of_job, JOBS), PersonKey("15550000002")]), max_size=3).map(tuple)
WAMIDS = st.none() | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=WAMID_CHARS_MAX
)
ZONES = st.integers(-720, 840).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(
    st.sampled_from(JOBS),
    st.builds(Accepted, WAMIDS, st.booleans(), NAMES),
    st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1), timezones=ZONES),  # noqa: DTZ001 - the zone is drawn too
)
def test_an_accepted_message_has_the_bytes_of_the_model_on_either_way(
    job: SendJob, outcome: Accepted, now: datetime
) -> None:
    events = Events(time_scale=1, now=lambda: now, clock=lambda: 0.0)
    signals = signals_of(outcome)
    found = events.settlement_of(job, CLAIM, outcome, signals)
    assert found == settlement(CLAIM, events.of_outcome(job, outcome), signals)
    assert decode(RecipientEvent, found.event.encode()).wamid == outcome.wamid


@pytest.mark.parametrize("outcome", [Rejected(131026, "x"), UnknownOutcome("timeout"), NotSent("connect")])
@pytest.mark.parametrize("is_probe", [False, True])
def test_every_other_outcome_has_the_event_of_the_model(outcome: FinalOutcome, *, is_probe: bool) -> None:
    events = Events(time_scale=1, now=lambda: datetime(2026, 1, 1, tzinfo=UTC), clock=lambda: 0.0)
    signals = signals_of(outcome)
    expected = settlement(CLAIM, events.of_outcome(NUMBERED, outcome, is_probe=is_probe), signals)
    assert events.settlement_of(NUMBERED, CLAIM, outcome, signals, is_probe=is_probe) == expected
