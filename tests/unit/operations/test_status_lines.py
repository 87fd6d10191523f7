"""The lines of `campaigns status`: the state of each check, and its next step."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from domain.breakers import Scope
from domain.portfolio import PortfolioUse
from operations.status import STAGES, AcceptedSends, Backlog, DatabaseStatus, DeadTopic, KafkaStatus, OpenCampaign
from operations.status_lines import PAUSED_SHOWN, WORDS_SHOWN, Line, ReadyAnswer, api_line, ingress_line, lines
from schemas.model import CampaignId
from schemas.stats import CampaignProgress
from tables.breakers import KnownBreaker
from topics.lag import Lag

NOW = datetime(2026, 3, 1, 3, tzinfo=UTC)
KAFKA = KafkaStatus(
    members=dict.fromkeys(STAGES, 1), lags=dict.fromkeys(STAGES, Lag(0)), last_webhook_at=NOW - timedelta(minutes=1),
    unknown_words={}, dead={"recipient.events": DeadTopic("id", {0: (5, 9)})}, missing_topics=(),
)  # fmt: skip
DATABASE = DatabaseStatus(
    backlog=Backlog(0, None, 0, None, 0, 0, 0, None, 0, 0, 0, None), sending=AcceptedSends(0, None, None), campaigns=(),
    progress={}, breakers=(), sessions={}, is_our_history=True, has_leader=True, has_publisher=True, positions={},
    people=PortfolioUse(None, None, None, 0, None),
)  # fmt: skip


def line(about: str, kafka: KafkaStatus | None = None, database: DatabaseStatus | None = None) -> Line:
    (found,) = [each for each in lines(database, kafka, NOW, {}) if each.about == about]
    return found


def test_handled_dead_letters_are_not_reported() -> None:
    assert line("dead letters of recipient.events", KAFKA).found == "4, including redriven and dropped ones", (
        "Postgres is away"
    )
    dead = {"recipient.events": DeadTopic("id", {0: (5, 9)}, handled=1)}
    assert line("dead letters of recipient.events", replace(KAFKA, dead=dead)).found == "3"
    done = {"recipient.events": DeadTopic("id", {0: (5, 9)}, handled=4)}
    assert line("dead letters", replace(KAFKA, dead=done)).state == "ok"


def test_a_late_stage_with_dead_letters_names_them() -> None:
    late = {**KAFKA.lags, "sink": Lag(3, NOW - timedelta(minutes=9)), "sender": Lag(3, NOW - timedelta(minutes=9))}
    found = replace(KAFKA, lags=late)
    assert "dead-letters list --stage sink" in line("sink", found).next_step
    gone = replace(found, members={**KAFKA.members, "sink": 0})  # Kafka has removed the stalled members
    assert "dead-letters list --stage sink" in line("sink", gone).next_step
    assert "dead-letters" not in line("sender", found).next_step


def test_a_lag_of_bundles_is_reported_in_records_and_statuses() -> None:
    lags = {**KAFKA.lags, "reconciler": Lag(2, NOW - timedelta(seconds=5), statuses=730)}
    assert (
        line("reconciler", replace(KAFKA, lags=lags)).found
        == "1 running, 2 record(s) with 730 status(es) wait, for 5 s"
    )


@pytest.mark.parametrize(
    ("webhook_min", "sent_min", "state"),
    [
        (1, 11, "ok"),
        (12, 11, "look"),
        (11.5, 11, "ok"),  # the webhook came before the answer was stored
        (None, 11, "look"),
        (600, None, "ok"),  # an outage, in which nothing was sent
        (None, None, "ok"),
    ],
)
def test_a_message_without_a_webhook_is_a_warning_and_an_outage_is_not(
    webhook_min: float | None, sent_min: float | None, state: str
) -> None:
    webhook, sent = (None if ago is None else NOW - timedelta(minutes=ago) for ago in (webhook_min, sent_min))
    database = replace(DATABASE, sending=AcceptedSends(0, NOW, sent))
    found = line("last webhook", replace(KAFKA, last_webhook_at=webhook), database)
    assert found.state == state
    assert ("accepted 11 min ago" in found.found) is (state == "look")


def test_without_postgres_nothing_is_known_about_missing_webhooks() -> None:
    assert line("last webhook", replace(KAFKA, last_webhook_at=None)).state == "ok"


def test_status_words_that_are_not_known_are_named_with_their_number() -> None:
    words = {"held": 2, **{f"word{n}": 1 for n in range(WORDS_SHOWN)}, "warned": 40}
    found = line("unknown status words", replace(KAFKA, unknown_words=words))
    assert found.state == "look"
    assert found.found == "in the newest webhooks: warned (40), held (2), word0 (1), word1 (1), word2 (1) and 2 more"
    assert not [each for each in lines(None, KAFKA, NOW, {}) if each.about == "unknown status words"]


@pytest.mark.parametrize(
    ("sending", "found"),
    [
        (AcceptedSends(0, None, None), "nothing was accepted yet"),
        (AcceptedSends(0, NOW - timedelta(hours=3), None), "nothing in the last minute; the last message 3 h ago"),
        (AcceptedSends(90, NOW, None), "1.5 a second now: 90 accepted in the last minute"),
    ],
)
def test_the_rate_of_sending_is_a_line(sending: AcceptedSends, found: str) -> None:
    assert line("sending", database=replace(DATABASE, sending=sending)).found == found


def test_many_paused_campaigns_fit_on_one_screen() -> None:
    many = tuple(OpenCampaign(uuid4(), f"c{n}", "paused", "An incident.", NOW) for n in range(PAUSED_SHOWN + 5))
    found = [
        each for each in lines(replace(DATABASE, campaigns=many), None, NOW, {}) if each.about.startswith("paused")
    ]
    assert len(found) == PAUSED_SHOWN + 1
    assert found[0].found.startswith("An incident, since ")
    assert found[-1].found == "5 more"
    assert all(each.next_step for each in found)


@pytest.mark.parametrize(("status", "state"), [(200, "ok"), (503, "wrong"), (None, "look")])
def test_the_ingress_is_queried_directly(status: int | None, state: str) -> None:
    found = ingress_line(ReadyAnswer("http://127.0.0.1:8001/ready", status))
    assert found.state == state
    assert (found.next_step == "") is (state == "ok")


@pytest.mark.parametrize(
    ("status", "sessions", "state"),
    [(200, 0, "ok"), (200, 2, "ok"), (503, 2, "wrong"), (None, 2, "ok"), (None, 0, "look")],
)
def test_an_api_without_a_session_is_well_if_it_answers(status: int | None, sessions: int, state: str) -> None:
    found = api_line(ReadyAnswer("http://127.0.0.1:8000/ready", status), sessions)
    assert found.state == state
    assert (found.next_step == "") is (state == "ok")


def test_an_open_breaker_is_a_line_that_names_its_reason_and_the_next_step() -> None:
    token = KnownBreaker(Scope.ACCOUNT, "", NOW, 190, "code 190: access token expired", True, 0, 0, NOW, False, None)
    outage = KnownBreaker(Scope.ENDPOINT, "", NOW, None, "timeout", False, 0, 0, NOW, True, None)
    found = {each.about: each for each in lines(replace(DATABASE, breakers=(token, outage)), None, NOW, {})}
    assert found["breaker: account"].state == "wrong"
    assert "access token expired" in found["breaker: account"].found
    assert "campaigns resume" in found["breaker: account"].next_step
    assert (found["breaker: endpoint"].state, found["breaker: endpoint"].found[:7]) == ("look", "timeout")
    assert {each.about: each.state for each in lines(DATABASE, None, NOW, {})}["breakers"] == "ok"


def test_the_phone_number_of_a_pair_is_masked() -> None:
    pair = KnownBreaker(Scope.RECIPIENT, "1055/4917112345678", NOW, 131056, "x", False, 0, 0, NOW, False, None)
    found = [each.about for each in lines(replace(DATABASE, breakers=(pair,)), None, NOW, {})]
    assert "breaker: recipient 1055/***********78" in found


def test_an_active_campaign_shows_its_progress_and_one_that_only_fails_is_a_problem() -> None:
    campaign = OpenCampaign(uuid4(), "spring", "active", None, NOW)
    good = CampaignProgress(
        campaign_id=CampaignId(campaign.id), campaign_name="spring", status="active", as_of=NOW,
        total_target=100, handled=50, sent=45, failed=5, eta=NOW,
    )  # fmt: skip
    bad = good.model_copy(update={"sent": 0, "failed": 50, "failures": {"132001": 49, "131026": 1}})
    shown = line("active: spring", None, replace(DATABASE, campaigns=(campaign,), progress={good.campaign_id: good}))
    progress = f"50 of 100 handled (50.0 %), 5 failed (10.0 %), done about {NOW:%Y-%m-%d %H:%M}Z"
    assert (shown.state, progress in shown.found) == ("ok", True)
    shown = line("active: spring", None, replace(DATABASE, campaigns=(campaign,), progress={good.campaign_id: bad}))
    assert (shown.state, "everything fails" in shown.found, "132001" in shown.found) == ("wrong", True, True)
    assert f"campaigns pause {campaign.id.hex[-8:]}" in shown.next_step


@pytest.mark.parametrize(("held", "minutes", "state"), [(0, None, "ok"), (3, 0.5, "ok"), (3, 5, "look")])
def test_events_that_a_lock_holds_for_long_are_a_warning(held: int, minutes: float | None, state: str) -> None:
    since = None if minutes is None else NOW - timedelta(minutes=minutes)
    found = line(
        "held by locks", database=replace(DATABASE, backlog=replace(DATABASE.backlog, held=held, held_since=since))
    )
    assert found.state == state
    assert ("pg_locks" in found.next_step) == (state == "look")


@pytest.mark.parametrize(("age_s", "state"), [(None, "ok"), (2.0, "ok"), (60.0, "ok"), (61.0, "wrong")])
def test_webhooks_that_are_not_applied_are_a_problem_once_they_stop_the_claims(age_s: float | None, state: str) -> None:
    assert line("webhooks applied", database=replace(DATABASE, webhook_age_s=age_s)).state == state


@pytest.mark.parametrize(
    ("people_max", "reported", "used", "expected"),
    [
        (None, None, 0, []),
        (2000, None, 500, [("ok", "500 of 2,000 people in 24 hours, 1,500 left")]),
        (250, 250, 250, [("ok", "250 of 250 people in 24 hours, 0 left; more people from 2026-03-01 03:00Z on")]),
        (2000, 250, 250, [("ok", "250 of 250 people"), ("look", "less than the 2,000 of the settings")]),
        (2000, 10_000, 0, [("ok", "0 of 2,000 people"), ("ok", "Meta reported 10,000 people in 24 hours")]),
        (2000, -1, 0, [("ok", "0 of 2,000 people"), ("ok", "Meta reported no limit")]),
        (None, 2000, 0, [("look", "Meta reported 2,000 people in 24 hours")]),
        (None, -1, 0, [("ok", "Meta reported no limit")]),
    ],
)
def test_the_budget_of_the_portfolio(
    people_max: int | None, reported: int | None, used: int, expected: list[tuple[str, str]]
) -> None:
    use = PortfolioUse(people_max, reported, None if reported is None else NOW, used, NOW)
    database = replace(DATABASE, people=use)
    found = [each for each in lines(database, None, NOW, {}) if each.about.startswith("portfolio")]
    assert [each.state for each in found] == [state for state, _ in expected]
    assert all(text in each.found for each, (_, text) in zip(found, expected, strict=True))
