"""A second campaign of a chaos run, whose people and limits change while it is sent.

People opt out by webhook, and change their number or user id. The window closes and opens, and the limit of the day
rises. The test posts each webhook itself and repeats it until the ingress has acknowledged it, so it knows from when an
opt-out holds. The choices come from the seed; their moments depend on the faults.
"""

from __future__ import annotations

import hashlib
import hmac
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import psycopg

from simulator.wamids import user_id_of
from tests.chaos import laws
from tests.chaos.laws import LimitOfDay, Received
from tests.faults.campaign import Result, RunningCampaign
from tests.faults.steady_load import Crowd
from tests.faults.world import NUMBER_ID, World
from tests.support import person_webhooks
from verdict.truth import TimeSpan

PER_S = 2.0
EVERY_S = 0.4
WINDOW_EVERY_S = 15.0
LIMIT_EVERY_S = 10.0
FIRST_LIMIT, LIMIT_STEP, NO_LIMIT = 10, 12, 1_000_000
RECENT = 60
"""Mostly the people who were added last opt out: many of them have no message yet."""
RETRY_S = 0.3
TIMEOUT_S = 10.0
SETTLED = """
    SELECT count(*) FROM marketing_campaigns AS c
    WHERE c.id = %s AND c.status = 'active' AND NOT EXISTS (SELECT FROM breakers WHERE needs_human)
"""
PAUSED = "SELECT count(*) FROM marketing_campaigns WHERE id = %s AND status = 'paused'"


class LimitedCampaign(RunningCampaign):
    """The campaign, with the thread that changes its people and limits."""

    def __init__(self, world: World, crowd: Crowd, main: RunningCampaign, seed: int) -> None:
        super().__init__(world, crowd, PER_S, f"limited {seed}")
        self.frozen = main.frozen
        self.acts: Counter[str] = Counter()
        """The acknowledged webhooks and changes, by what they are."""
        self.failures: list[str] = []
        self._main = main
        self._random = random.Random(f"limited {seed}")
        self._out_at: dict[str, float] = {}
        self._moved: dict[str, str] = {}
        """The new number of each person who has changed it."""
        self._limits: list[LimitOfDay] = [LimitOfDay(0.0, NO_LIMIT)]
        self._closed: list[TimeSpan] = []
        self._closed_at: float | None = None
        self._inbound = 0
        self._stopping = threading.Event()
        self._client = httpx.Client(timeout=TIMEOUT_S, trust_env=False)
        self._edit({"daily_send_limit": FIRST_LIMIT})
        self._limits = [LimitOfDay(0.0, max(FIRST_LIMIT, len(self._first)))]
        self._thread = threading.Thread(target=self._run, name="limited", daemon=True)
        self._thread.start()
        world.loads.append(self)

    def abandon(self) -> None:
        """End the thread, also after a failed run."""
        self._stopping.set()
        self._thread.join()
        self._client.close()

    # ------------------------------------------------------------------------------------------------------- acting

    def _run(self) -> None:
        last_window = last_limit = time.monotonic()
        try:
            while not self._stopping.wait(EVERY_S):
                now = time.monotonic()
                if now - last_window > WINDOW_EVERY_S:
                    last_window = now
                    self._toggle_window()
                if now - last_limit > LIMIT_EVERY_S:
                    last_limit = now
                    self._raise_limit(self._limits[-1].limit + LIMIT_STEP)
                self._resume()
                act: Callable[[], None] = self._random.choices((self._opt_out, self._change_identity), (2, 1))[0]
                act()
        except Exception as failed:  # noqa: BLE001 - reported with the verdict
            self.failures.append(f"the changes ended with {failed!r}")

    def _opt_out(self) -> None:
        """Somebody sends a word, presses a button, or stops marketing messages, under the newest number."""
        person = self._random.choice(list(self.people)[-RECENT:]).number
        if person in self._out_at:
            return
        names, at = [self._moved.get(person, person)], datetime.now(UTC)
        if self._random.random() < 0.5:
            names.append(f"user:{user_id_of(names[0])}")
        self._inbound += 1
        content = self._random.choice([person_webhooks.text, person_webhooks.button])("STOP")
        value, field = person_webhooks.message(names, content, at, self._inbound, None), "messages"
        if self._random.random() < 0.3:
            value, field = person_webhooks.preference(names, "stop", at), "user_preferences"
        if self._post(value, field):
            self.opted_out.add(person)
            self._out_at[person] = time.time()
            self.acts["opt-outs"] += 1

    def _change_identity(self) -> None:
        """Somebody who has not opted out gets another number, and the user id of that number."""
        person = self._random.choice(list(self.people)[-RECENT:]).number
        if person in self._out_at or person in self._moved:
            return
        new = f"1807{self._random.randint(220, 289)}{len(self._moved):04d}"
        former = [person, f"user:{user_id_of(person)}"]
        self._inbound += 1
        names = [new, f"user:{user_id_of(new)}"]
        if self._post(person_webhooks.changed(former, names, datetime.now(UTC), self._inbound), "messages"):
            self._moved[person] = new
            self.acts["new numbers"] += 1

    def _post(self, value: dict[str, object], field: str) -> bool:
        """Post a webhook until it is acknowledged. False: the run ends before."""
        body = person_webhooks.webhook(value, field, NUMBER_ID)
        secret = self.world.settings.webhook_app_secrets[0].get_secret_value().encode()
        signature = hmac.new(secret, body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={signature}"}
        url = self.world.urls["ingress-1"].replace("/ready", "/webhooks/whatsapp")
        while not self._stopping.is_set():
            try:
                if self._client.post(url, content=body, headers=headers).status_code == httpx.codes.OK:
                    return True
            except httpx.TransportError:
                pass  # the ingress is down: Meta repeats the webhook
            self._stopping.wait(RETRY_S)
        return False

    def _toggle_window(self) -> None:
        """Close the window, or open it. It is surely closed from the answer until the next change is sent."""
        now = datetime.now(UTC)
        self._end_closed()
        if self._closed_at is None and self._random.random() < 0.8:
            hour = (now + timedelta(hours=12)).hour
            if self._edit({"window_from": f"{hour:02d}:00", "window_to": f"{hour + 1:02d}:00"}):
                self._closed_at = time.time()
                self.acts["closed windows"] += 1
        elif self._edit({"window_from": "00:00", "window_to": "24:00"}):
            self._closed_at = None

    def _end_closed(self) -> None:
        if self._closed_at is not None:
            self._closed.append(TimeSpan(self._closed_at, time.time()))

    def _raise_limit(self, limit: int) -> None:
        self._limits.append(LimitOfDay(time.time(), limit))  # it may hold although the answer is lost
        self.acts["higher limits"] += self._edit({"daily_send_limit": limit})

    def _resume(self) -> None:
        """Resume the campaign after a fault has paused it, once the other one sends again and no breaker waits."""
        try:
            if self.world.count(PAUSED, self.id) and self.world.count(SETTLED, self._main.id):
                self._call("POST", "/resume", None)
        except psycopg.OperationalError:
            pass  # Postgres is away: the next round reads it

    def _edit(self, changes: dict[str, object]) -> bool:
        return self._call("PATCH", "", changes)

    def _call(self, method: str, path: str, body: object) -> bool:
        """Send one request to the API. False: it was not answered with success."""
        url = f"{str(self.world.api.client.base_url).rstrip('/')}/api/marketing/campaigns/{self.id}{path}"
        try:
            return self._client.request(method, url, json=body).is_success
        except httpx.TransportError:
            return False

    # ------------------------------------------------------------------------------------------------------- judging

    def end(self, blurred: list[TimeSpan]) -> Result:
        """End the changes, open the window, lift the limit, and judge the rows and the laws."""
        self._stopping.set()
        self._thread.join()
        self._end_closed()
        received = [Received(post.number, post.received_at) for post in self.posts()]
        self.failures += [
            *laws.after_opt_out(received, self._out_at, blurred),
            *laws.outside_window(received, self._closed, blurred),
            *laws.above_limit_of_day(received, self._limits),
        ]
        opened = {"window_from": "00:00", "window_to": "24:00", "daily_send_limit": NO_LIMIT}
        if not self._edit(opened):
            self.failures.append("the window could not be opened at the end")
        if self.world.count(PAUSED, self.id):
            self._call("POST", "/resume", None)
        result = self.finish(time.time(), 0.0, from_topic=True)
        late = [Received(post.number, post.received_at) for post in self.posts()]
        self.failures += [*laws.after_opt_out(late, self._out_at, blurred), *result.judged.verdict.trouble]
        return result
