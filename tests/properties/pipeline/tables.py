"""A model of the scheduler's SQL statements, under their names. It is compared with the SQL like the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from domain.facts import Facts, Skip, Wait
from domain.frequency import CapVerdict, judge
from domain.repeats import TwinRefusal
from domain.status import Status
from domain.windows import Hours
from schemas.model import CampaignId, RecipientId
from tests.properties.pipeline.humans import LedgerRow, Release
from tests.properties.pipeline.ledger import Ledger
from tests.properties.pipeline.rows import Key


@dataclass(slots=True)
class Tables(Ledger):
    """The database."""

    def release_due(self, now: datetime, send_before: datetime) -> list[Key]:
        """Start the next attempt of due rows: release it, or skip it without budget."""
        released: list[Key] = []
        if self.campaign != "active":
            return released
        rooms = {campaign: self.left_today(campaign, now) for campaign in self.limits.campaigns}
        people = self.left_in_portfolio(now)
        for recipient, row in self.rows.items():
            if row.due_at is None or row.due_at > now:
                continue
            room = rooms[row.campaign]
            deadline = self.limits.deadline(row.campaign, row.country, now, send_before)
            if not self.rules.window:
                deadline = send_before
            if deadline is None or room == 0 or people == 0 or not self._is_taken(recipient, now, deadline):
                continue
            key = (recipient, row.facts.attempt + 1)
            row.born_with[key[1]] = (row.facts.accepted_attempts, row.facts.delivered_at)
            self.state(recipient, Facts(attempt=key[1]), now)
            self.releases[key] = Release(deadline, now)
            self.charge(key, now)
            rooms[row.campaign] = None if room is None else room - 1
            people = None if people is None else people - 1
            released.append(key)
        return released

    def _is_taken(self, recipient: RecipientId, now: datetime, send_before: datetime) -> bool:
        """Judge a due row. One that is refused is skipped, and one above the cap is deferred or skipped."""
        cap, row = self.limits.cap, self.rows[recipient]
        if self.is_unsubscribed(recipient):
            self._skip(recipient, "opted_out", now, send_before)
            return False
        if self.twin_refusal(recipient) is TwinRefusal.SAME_PERSON:
            self._skip(recipient, "same_person", now, send_before)
            return False
        if self.is_pair_busy(recipient, now):
            return False
        if cap is None:
            return True
        posted, claimed, released = self.counted_attempts(recipient, cap, now)
        waits_until = row.planned_at + timedelta(days=self.limits.campaigns[row.campaign].cap_wait_days)
        found = judge(posted, claimed + released, cap, now=now, waits_until=waits_until)
        if found.verdict is CapVerdict.SKIP:
            self._skip(recipient, "frequency_capped", now, send_before)
        elif found.until is not None:
            self._defer(recipient, found.until, now, send_before)
        return found.verdict is CapVerdict.SEND

    def _defer(self, recipient: RecipientId, until: datetime, now: datetime, send_before: datetime) -> None:
        """Defer a row that the cap holds. One that is deferred already keeps its attempt."""
        row = self.rows[recipient]
        deferred = row.facts.deferred
        is_again = row.status is Status.QUEUED and deferred is not None and deferred.attempt == row.facts.attempt
        key = (recipient, row.facts.attempt if is_again else row.facts.attempt + 1)
        self.state(recipient, Facts(attempt=key[1], deferred=Wait(key[1], until)), now, until)
        event = self._event("deferred", key, now, None, until)
        self.ledger[key] = LedgerRow(UUID(int=0), send_before, now, "deferred", now, event)

    def change_hours(self, campaign: CampaignId, hours: Hours, now: datetime) -> None:
        """Change the hours of a campaign: what is released and not posted expires now."""
        self.limits.campaigns[campaign].hours = hours
        for key, release in self.releases.items():
            if self.rows[key[0]].campaign == campaign and self.rules.edit:
                release.send_before = now
        for key, held in self.ledger.items():
            if self.rows[key[0]].campaign == campaign and held.outcome is None and self.rules.edit:
                held.send_before = now

    def _skip(self, recipient: RecipientId, reason: str, now: datetime, send_before: datetime) -> None:
        newest = self.rows[recipient].facts.attempt
        key = (recipient, newest + 1 if self.rules.skipnew else max(1, newest))
        self.state(recipient, Facts(attempt=key[1], skipped=Skip(key[1], reason)), now)
        if key not in self.ledger:
            event = self._event("skipped", key, now, reason)
            self.ledger[key] = LedgerRow(UUID(int=0), send_before, now, "skipped", now, event)

    def record_published(self, key: Key, offset: int, now: datetime) -> None:
        """Record the offset of a published job."""
        release = self.releases.get(key)
        if release is not None:
            release.published_at, release.offset = now, offset
            release.publish_count += 1

    def find_unclaimed(self, now: datetime, committed: int) -> list[Key]:
        """Releases that must be published (again), after the delays of `publications.Patience`."""
        if self.campaign != "active":
            return []
        return [key for key, release in self.releases.items() if self._is_unclaimed(key, release, now, committed)]

    def _is_unclaimed(self, key: Key, release: Release, now: datetime, committed: int) -> bool:
        row = self.rows[key[0]]
        is_wanted = row.facts.attempt == key[1] and row.status is Status.QUEUED and row.due_at is None
        if not is_wanted or key in self.ledger:
            return False
        if release.published_at is None:
            return now - release.released_at > timedelta(seconds=2)
        if not self.rules.repub:
            return False
        age = (now - release.published_at).total_seconds()
        delay = min(300.0, 5.0 * 2 ** (release.publish_count - 1))
        return (committed > release.offset and age > delay) or age > 3600

    def forget_answered(self, now: datetime, older_than_s: float) -> None:
        """Delete releases that can no longer be claimed. Unclaimed ones return their budget."""
        kept = (Status.QUEUED, Status.SENT) if self.rules.forget else (Status.QUEUED,)
        for key, release in list(self.releases.items()):
            row = self.rows[key[0]]
            is_over = row.facts.attempt > key[1] or row.status not in kept or key in self.ledger
            if is_over and now - release.released_at > timedelta(seconds=older_than_s):
                self._forget(key)

    def _forget(self, key: Key) -> None:
        del self.releases[key]
        if key not in self.ledger:
            self.give_budget_back(key)

    def skip_cancelled(self, now: datetime) -> int:
        """Skip the waiting recipients of a cancelled campaign with a new attempt, and return their budget."""
        if self.campaign != "cancelled" or not self.rules.cancel:
            return 0
        released = {key[0] for key in self.releases}
        held = [r for r, row in self.rows.items() if row.due_at is not None or r in released or not row.facts.attempt]
        skipped = [recipient for recipient in held if self._waits(recipient)]
        for recipient in skipped:
            self._skip(recipient, "campaign_cancelled", now, now)
        for key in [key for key in self.releases if key[0] in held]:
            self._forget(key)
        return len(skipped)

    def _waits(self, recipient: RecipientId) -> bool:
        row = self.rows[recipient]
        newest = (recipient, row.facts.attempt)
        is_hidden = row.status is Status.SENT and newest in self.releases and self.rules.hidden
        is_unclaimed = (row.status is Status.QUEUED or is_hidden) and newest not in self.ledger
        return row.status is Status.PENDING or row.due_at is not None or is_unclaimed

    def complete_campaigns(self, now: datetime, unknown_s: float) -> bool:
        """Complete the campaign if no recipient waits."""
        if not self.is_over(now, unknown_s):
            return False
        self.campaign = "completed"
        return True

    def is_over(self, now: datetime, unknown_s: float) -> bool:
        """Whether no recipient of an active campaign waits. An unknown recipient waits for `unknown_s`."""
        young = now - timedelta(seconds=unknown_s)
        waits = any(
            row.status in (Status.PENDING, Status.QUEUED)
            or (row.status in (Status.FAILED, Status.UNKNOWN) and row.due_at is not None)
            or (row.status is Status.UNKNOWN and row.changed_at > young)
            for row in self.rows.values()
        )
        return self.campaign == "active" and not waits

    def reopen_campaigns(self) -> bool:
        """Make a completed campaign active again, if a recipient waits."""
        if not self.is_open_again():
            return False
        self.campaign = "active"
        return True

    def is_open_again(self) -> bool:
        """Whether a recipient of a completed campaign is due, or queued without a claim."""
        due = any(row.due_at is not None for row in self.rows.values())
        queued = any(self.rows[r].facts.attempt == n and self.rows[r].status is Status.QUEUED for r, n in self.releases)
        return self.campaign == "completed" and (due or queued) and self.rules.reopen
