"""The key of a minute names its campaign and the minute in UTC, in whatever zone the time is stated."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

from schemas.codec import decode, encode
from schemas.model import CampaignId
from schemas.timeline import CampaignMinute

CAMPAIGN = CampaignId(UUID(int=7))


def test_the_key_is_the_campaign_and_its_minute() -> None:
    here = datetime(2026, 3, 1, 12, 5, tzinfo=UTC)
    there = here.astimezone(timezone(timedelta(hours=5, minutes=30)))
    keys = {CampaignMinute(campaign_id=CAMPAIGN, minute=at, version=1).key for at in (here, there)}
    assert keys == {f"{CAMPAIGN}/2026-03-01T12:05Z".encode()}


def test_a_minute_survives_its_encoding() -> None:
    minute = CampaignMinute(campaign_id=CAMPAIGN, minute=datetime(2026, 3, 1, tzinfo=UTC), sent=3, failed=-1, version=2)
    assert decode(CampaignMinute, encode(minute)) == minute
