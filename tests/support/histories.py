"""Generated histories for the property tests: events of every kind, several attempts, ties, duplicates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import strategies as st

from schemas.events import EventKind, Failure, Pricing, RecipientEvent, RetryClass
from schemas.model import CampaignId, RecipientId, Wamid

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CAMPAIGN = CampaignId(UUID(int=7))
RECIPIENT = RecipientId(UUID(int=1))

# There are few values of each, so that ties and repetitions are common, because errors of merges need them.
times = st.integers(0, 6).map(lambda minutes: START + timedelta(minutes=minutes))
attempts = st.one_of(st.integers(1, 4), st.sampled_from([61, 62]))
PRICINGS = (
    None,
    Pricing(type="regular", category="marketing"),
    Pricing(type="free_entry_point", category="utility"),
    Pricing(category="marketing_lite"),
    Pricing(type="é", category="a new one"),
)
failures = st.builds(
    Failure,
    code=st.sampled_from([None, 0, 131026, 131049, 131000]),
    reason=st.sampled_from(["", "a", "b", "é"]),
    retry_class=st.sampled_from(RetryClass),
    backoff_s=st.sampled_from([0, 60, 600]),
)


@st.composite
def events(draw: st.DrawFn, recipient: RecipientId = RECIPIENT) -> RecipientEvent:
    """One event of any kind for one recipient, its attempt known."""
    kind = draw(st.sampled_from(EventKind))
    attempt = draw(attempts)
    needs_failure = kind in (EventKind.FAILED, EventKind.REJECTED)
    needs_wait = kind in (EventKind.DEFERRED, EventKind.EXPIRED)
    return RecipientEvent(
        kind=kind,
        campaign_id=CAMPAIGN,
        recipient_id=recipient,
        attempt=attempt,
        wamid=draw(st.sampled_from([None, Wamid(f"wamid.{attempt}a"), Wamid(f"wamid.{attempt}B")])),
        occurred_at=draw(times),
        received_at=START,
        failure=draw(failures) if needs_failure else None,
        skip_reason=draw(st.sampled_from(["opted_out", "campaign_cancelled"])) if kind is EventKind.SKIPPED else None,
        not_before=draw(times) if needs_wait else None,
        held_for_quality=draw(st.booleans()),
        pricing=draw(st.sampled_from(PRICINGS)),
    )


histories = st.lists(events(), max_size=12)
