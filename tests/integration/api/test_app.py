"""The REST API with a real Postgres and a real broker."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from urllib.parse import quote
from uuid import uuid4

import pytest
import structlog

from api.access import key_id
from schemas.jobs import SendJob
from schemas.topics import Topic
from tables.subscriptions import unpublished
from tests.support.api_client import CAMPAIGN, CAMPAIGNS, Api, an_api, make_topics
from tests.support.kafka_topics import read_all

JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def api(database_url: str, kafka: str, topic_prefix: str) -> AsyncIterator[Api]:
    make_topics(kafka, topic_prefix)
    async with an_api(database_url, kafka, topic_prefix) as found:
        yield found


async def test_the_session_of_the_readme(api: Api, kafka: str, topic_prefix: str) -> None:
    created = await api.http.post(CAMPAIGNS, json=CAMPAIGN)
    assert created.status_code == 201
    campaign = created.json()["id"]
    assert created.json()["status"] == "draft"
    assert created.json()["phone_number_id"] == "15550001"

    added = await api.add(campaign, "14694652751", "19453083188")
    assert added == {"added": 2, "countries": {"US": 2}, "duplicates": [], "invalid": []}
    assert (await api.process())["released"] == 0, "a draft sends nothing"

    assert await api.act(campaign, "activate") == 200
    assert await api.process() == {"released": 2, "skipped": 0, "due_later": 0, "already_released": 0}
    assert await api.process() == {"released": 0, "skipped": 0, "due_later": 0, "already_released": 2}

    records = await asyncio.to_thread(read_all, kafka, topic_prefix + Topic.SEND_JOBS)
    jobs = [SendJob.model_validate_json(record.value() or b"") for record in records]
    assert {job.phone_number for job in jobs} == {"14694652751", "19453083188"}
    assert all(job.template_name == "your_template" and job.language_code == "en_US" for job in jobs)
    stats = (await api.http.get(f"{CAMPAIGNS}/{campaign}/stats")).json()
    assert (stats["total_target"], stats["queued"], stats["pending"], stats["status"]) == (2, 2, 0, "active")


async def test_the_stats_of_the_example(api: Api) -> None:
    campaign = await api.campaign()
    await api.add(campaign, *(str(14694650000 + n) for n in range(100)))
    await api.act(campaign, "activate")
    # Five sent messages failed later. They count as sent and as failed.
    await api.rows(
        """
        UPDATE campaign_recipients AS r SET
            attempt = 1,
            accepted_attempts = 2,
            sent_at = now(),
            delivered_at = CASE WHEN n <= 45 THEN now() END,
            read_at = CASE WHEN n <= 30 THEN now() END,
            failed_attempts = CASE WHEN n > 45 THEN 2 ELSE 0 END,
            failure_code = CASE WHEN n > 45 THEN 131026 END,
            failure_text = CASE WHEN n > 45 THEN 'Message undeliverable' END
        FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM campaign_recipients) AS numbered
        WHERE r.id = numbered.id AND n <= 50
        """
    )
    stats = (await api.http.get(f"{CAMPAIGNS}/{campaign}/stats")).json()
    shown = {
        "campaign_id": campaign,
        "campaign_name": "Test Campaign",
        "status": "active",
        "total_target": 100,
        "sent": 50,
        "delivered": 45,
        "read": 30,
        "failed": 5,
        "pending": 50,
        "progress_percentage": 50.0,
        "delivery_rate": 90.0,
        "read_rate": 60.0,
    }
    assert {name: stats[name] for name in shown} == shown


async def test_invalid_numbers_are_reported_one_by_one_and_the_others_are_added(api: Api) -> None:
    campaign = await api.campaign()
    await api.add(campaign, "14694652751")
    added = await api.add(
        campaign, "+1 (945) 308-3188", "abc", "19453083188", "14694652751", None, {"phone_number": "123"},
        {"phone_number": "14694652752", "template_parameters": "no"}, {"phone": "14694652753"},
        {"phone_number": "14694652754", "template_parameters": ["a\0b"]},
        {"phone_number": "14694652755", "template_parameters": {"name": "Ana"}},
    )  # fmt: skip
    assert added["added"] == 2
    repeated = [{name: each[name] for name in ("index", "value", "reason")} for each in added["duplicates"]]
    assert repeated == [
        {"index": 2, "value": "19453083188", "reason": "repeated_in_request"},
        {"index": 3, "value": "14694652751", "reason": "already_in_campaign"},
    ]
    assert [(each["index"], each["reason"]) for each in added["invalid"]] == [
        (1, "not_a_phone_number"),
        (4, "not_a_string"),
        (5, "too_short"),
        (6, "not_parameters"),
        (7, "unknown_field"),
        (8, "parameter_character"),
    ]
    assert added["invalid"][0]["value"] == "abc"
    rows = await api.rows("SELECT phone_number, template_parameters FROM campaign_recipients ORDER BY phone_number")
    assert rows == [("14694652751", None), ("14694652755", {"name": "Ana"}), ("19453083188", None)]


def brief(refused: list[dict[str, object]]) -> list[tuple[object, object, object]]:
    """Index, value and reason of each."""
    return [(each["index"], each["value"], each["reason"]) for each in refused]


async def test_one_person_in_two_spellings_is_added_once(api: Api) -> None:
    campaign = await api.campaign()
    added = await api.add(campaign, "5215500001234", "+52 55 0000 1234", "551100000001", "+54 9 11 0000-0003")
    assert brief(added["duplicates"]) == [(1, "525500001234", "same_person")]
    assert (added["added"], added["countries"]) == (3, {"MX": 1, "BR": 1, "AR": 1})
    added = await api.add(campaign, "525500001234", "5511900000001", "54 11 15 0000-0003", "5491100000003")
    assert [each["reason"] for each in added["duplicates"]] == [
        "same_person",
        "same_person",
        "same_person",
        "same_person",
    ]
    added = await api.add(campaign, "5491100000003")
    assert [each["reason"] for each in added["duplicates"]] == ["already_in_campaign"]
    rows = await api.rows("SELECT phone_number FROM campaign_recipients ORDER BY 1")
    assert rows == [("5215500001234",), ("5491100000003",), ("551100000001",)]


async def test_the_country_of_the_campaign_or_of_the_request_completes_numbers(api: Api) -> None:
    campaign = await api.campaign(country="DE")
    added = await api.add(campaign, "0171 1234567", "171 1234568", "+1 469 555 0144", 1711234569)
    assert (added["added"], added["countries"]) == (4, {"DE": 3, "US": 1})
    path = f"{CAMPAIGNS}/{campaign}/recipients"
    answer = await api.http.post(path, json={"phone_numbers": ["(469) 555-0145"], "country": "US"})
    assert answer.json()["countries"] == {"US": 1}
    found = (await api.http.get(path, params={"phone_number": "0171 1234567"})).json()["recipients"]
    assert [each["phone_number"] for each in found] == ["491711234567"]
    assert (await api.http.get(f"{CAMPAIGNS}/{campaign}")).json()["country"] == "DE"
    for wrong in ("de", "XX", "Germany", ""):
        answer = await api.http.post(path, json={"phone_numbers": ["0171 1234567"], "country": wrong})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "country")
        assert (await api.http.post(CAMPAIGNS, json={**CAMPAIGN, "country": wrong})).status_code == 422


async def test_a_refusal_shows_what_cannot_be_seen(api: Api) -> None:
    campaign = await api.campaign()
    added = await api.add(
        campaign, "\u202aabc\u00a0", "1.46956E+10", "+49 171 0000001/02", "\u202a+1 469\u00a0555\u20110130"
    )
    assert brief(added["invalid"]) == [
        (0, "\\u202aabc\\u00a0", "not_a_phone_number"),
        (1, "1.46956E+10", "lost_digits"),
        (2, "+49 171 0000001/02", "several_numbers"),
    ]
    assert added["added"] == 1


@pytest.mark.parametrize(
    "phone",
    ["5215500001234", "525500001234", "+52 1 55 0000 1234", "\u202a+52 55\u00a00000 1234", "tel:+525500001234"],
)
async def test_an_opt_out_holds_for_every_spelling(api: Api, phone: str) -> None:
    campaign = await api.campaign()
    await api.add(campaign, "+52 55 0000 1234", "14694652751")
    answer = await api.http.put(f"/api/marketing/subscriptions/{quote(phone)}", json={"subscribed": False})
    assert (answer.status_code, answer.json()) == (200, {"subscribed": False, "out_by": ["operator"]})
    await api.act(campaign, "activate")
    assert await api.process() == {"released": 1, "skipped": 1, "due_later": 0, "already_released": 0}
    assert not (await api.http.get("/api/marketing/subscriptions/5215500001234")).json()["subscribed"]


@pytest.mark.parametrize(
    ("phone", "person", "doubt"),
    [
        ("521550000123", "521550000123", "country_code_missing"),
        ("+49 0171 1234567", "491711234567", "trunk_prefix"),
        ("089/123456", "089123456", "country_code_missing"),
        ("+1 469 555 0143-12", "14695550143", "extension"),
        ("7", "7", "too_short"),
    ],
)
async def test_an_opt_out_of_an_odd_number_is_stored(api: Api, phone: str, person: str, doubt: str) -> None:
    path = f"/api/marketing/subscriptions/{quote(phone)}"
    answer = await api.http.put(path, json={"subscribed": False})
    expected = {"subscribed": False, "out_by": ["operator"], "person": person, "doubt": doubt}
    assert (answer.status_code, answer.json()) == (200, expected)
    assert (await api.http.get(path)).json() == expected


async def test_an_opt_out_of_a_user_id_or_of_a_national_number_is_stored(api: Api) -> None:
    subscriptions = "/api/marketing/subscriptions"
    await api.http.put(f"{subscriptions}/US.13491208655302741918", json={"subscribed": False})
    await api.http.put(f"{subscriptions}/0171%201234567?country=DE", json={"subscribed": False})
    rows = await api.rows("SELECT person FROM subscriptions ORDER BY 1")
    assert rows == [("491711234567",), ("user:US.13491208655302741918",)]
    longest = f"user:US.ENT.{'9' * 128}"
    assert (await api.http.put(f"{subscriptions}/{longest}", json={"subscribed": False})).status_code == 200
    async with api.pool.connection() as connection:
        assert {each.event.person for each in await unpublished(connection, 10)} == {
            "491711234567", "user:US.13491208655302741918", longest
        }  # fmt: skip


@pytest.mark.parametrize("phone", ["abc", "1.4E10", "14694652751, 14694652752", "%20"])
async def test_an_opt_out_that_names_nobody_or_two_people_is_refused(api: Api, phone: str) -> None:
    answer = await api.http.put(f"/api/marketing/subscriptions/{phone}", json={"subscribed": False})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "phone")
    assert await api.rows("SELECT 1 FROM subscriptions") == []


async def test_template_parameters_reach_the_job(api: Api, kafka: str, topic_prefix: str) -> None:
    campaign = await api.campaign()
    await api.add(campaign, {"phone_number": "14694652751", "template_parameters": ["Ana", 3]})
    await api.act(campaign, "activate")
    await api.process()
    records = await asyncio.to_thread(read_all, kafka, topic_prefix + Topic.SEND_JOBS)
    assert [SendJob.model_validate_json(each.value() or b"").template_parameters for each in records] == [["Ana", "3"]]


async def test_numbers_keep_their_text_and_numbered_keys_their_order(api: Api) -> None:
    campaign = await api.campaign()
    body = (
        b'{"phone_numbers":[{"phone_number":"14694652751","template_parameters":[19.90,1.50]},'
        b'{"phone_number":"14694652752","template_parameters":{"10":"j","2":"b","1":"a","3":"c","4":"d","5":"e",'
        b'"6":"f","7":"g","8":"h","9":"i"}}]}'
    )
    added = await api.http.post(f"{CAMPAIGNS}/{campaign}/recipients", content=body, headers=JSON)
    assert added.json()["added"] == 2
    rows = await api.rows("SELECT template_parameters FROM campaign_recipients ORDER BY phone_number")
    assert rows == [(["19.90", "1.50"],), (list("abcdefghij"),)]


async def test_a_refusal_names_the_recipient_the_field_and_the_reason(api: Api) -> None:
    campaign = await api.campaign()
    added = await api.add(
        campaign, {"phone_number": "14694652751", "template_parameters": {"1": "a", "3": "c"}}, "14694652752"
    )
    assert added["added"] == 1
    assert added["invalid"] == [
        {
            "index": 0,
            "field": "template_parameters.2",
            "value": "14694652751",
            "reason": "parameter_gap",
            "message": 'There is a parameter "3" but no parameter "2".',
        }
    ]


@pytest.mark.parametrize("number", [b"NaN", b"-Infinity", b"01"])
async def test_what_is_no_json_number_is_400(api: Api, number: bytes) -> None:
    campaign = await api.campaign()
    body = b'{"phone_numbers":[{"phone_number":"14694652751","template_parameters":[%b]}]}' % number
    answer = await api.http.post(f"{CAMPAIGNS}/{campaign}/recipients", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json")
    assert await api.rows("SELECT count(*) FROM campaign_recipients") == [(0,)]


async def test_a_method_that_a_path_does_not_take_names_all_others(api: Api) -> None:
    answer = await api.http.patch(CAMPAIGNS, json={})
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, POST"
    assert (await api.http.get("/api/nothing")).json()["code"] == "not_found"


async def test_half_a_character_in_a_wrong_field_is_shown_by_its_code(api: Api) -> None:
    answer = await api.http.post(CAMPAIGNS, content=b'{"\\ud83d": 1}', headers=JSON)
    assert answer.status_code == 422
    assert any("\\ud83d" in each["message"] for each in answer.json()["errors"])


async def test_an_unknown_field_of_a_recipient_gets_the_closest_name(api: Api) -> None:
    added = await api.add(await api.campaign(), {"phone": "14694652751"})
    (refused,) = added["invalid"]
    assert (refused["field"], refused["reason"]) == ("phone", "unknown_field")
    assert refused["message"].endswith("Did you mean phone_number?")


async def test_a_body_without_the_content_type_is_415(api: Api) -> None:
    answer = await api.http.post(CAMPAIGNS, content=b"{}")
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert "Content-Type: application/json" in answer.json()["detail"]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_unknown_campaign_is_404(api: Api, method: str) -> None:
    paths = {
        "GET": ["", "/stats", "/recipients", "/recipients?format=csv"],
        "POST": ["/activate", "/pause", "/resume", "/cancel"],
    }
    for campaign, path in itertools.product([str(uuid4()), "no-id", "%00"], paths[method]):
        answer = await api.http.request(method, f"{CAMPAIGNS}/{campaign}{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_campaign"), path
        assert answer.headers["content-type"] == "application/problem+json"


async def test_recipients_of_an_unknown_campaign_are_404(api: Api) -> None:
    answer = await api.http.post(f"{CAMPAIGNS}/{uuid4()}/recipients", json={"phone_numbers": ["14694652751"]})
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_campaign")


WRONG_FIELDS: list[tuple[dict[str, object], str]] = [
    ({"name": ""}, "name"),
    ({"name": "  "}, "name"),
    ({"name": "a\0b"}, "name"),
    ({"name": 3}, "name"),
    ({"template_name": "no spaces"}, "template_name"),
    ({"language_code": "english"}, "language_code"),
    ({"daily_send_limit": 0}, "daily_send_limit"),
    ({"daily_send_limit": "250"}, "daily_send_limit"),
    ({"daily_send_limit": 2**31}, "daily_send_limit"),
    ({"time_zone": "Mars/Olympus"}, "time_zone"),
    ({"time_zone": "../etc/passwd"}, "time_zone"),
    ({"phone_number_id": "x"}, "phone_number_id"),
    ({"daily_limit": 3}, "daily_limit"),
]


async def test_an_invalid_field_is_422_and_named(api: Api) -> None:
    for changed, field in WRONG_FIELDS:
        answer = await api.http.post(CAMPAIGNS, json={**CAMPAIGN, **changed})
        assert answer.status_code == 422, changed
        assert answer.json()["code"] == "invalid_field"
        assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_a_missing_field_is_named_and_a_broken_body_is_400(api: Api) -> None:
    missing = await api.http.post(CAMPAIGNS, json={"name": "x"})
    assert {error["field"] for error in missing.json()["errors"]} == {"template_name", "language_code"}
    broken = await api.http.post(CAMPAIGNS, content=b"{", headers={"Content-Type": "application/json"})
    assert (broken.status_code, broken.json()["code"]) == (400, "malformed_json")


async def test_actions_in_an_invalid_state_are_409_and_change_nothing(api: Api) -> None:
    campaign = await api.campaign()
    assert await api.act(campaign, "pause") == 409
    assert await api.act(campaign, "resume") == 409
    await api.add(campaign, "14694652751")
    assert await api.act(campaign, "activate") == 200
    assert await api.act(campaign, "activate") == 409
    assert await api.act(campaign, "pause") == 200
    assert (await api.http.get(f"{CAMPAIGNS}/{campaign}")).json()["pause_reason"] == "operator"
    assert await api.act(campaign, "pause") == 409
    assert await api.act(campaign, "resume") == 200
    assert await api.act(campaign, "cancel") == 200
    assert await api.act(campaign, "activate") == 409
    refused = await api.http.post(f"{CAMPAIGNS}/{campaign}/recipients", json={"phone_numbers": ["14694652751"]})
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")


async def test_a_campaign_without_recipients_cannot_be_activated(api: Api) -> None:
    campaign = await api.campaign()
    answer = await api.http.post(f"{CAMPAIGNS}/{campaign}/activate")
    assert (answer.status_code, answer.json()["code"]) == (409, "empty_campaign")
    assert "Add at least one" in answer.json()["detail"]
    assert (await api.http.get(f"{CAMPAIGNS}/{campaign}")).json()["status"] == "draft"
    await api.add(campaign, "14694652751")
    assert await api.act(campaign, "activate") == 200


async def test_a_paused_campaign_releases_nothing(api: Api) -> None:
    campaign = await api.campaign()
    await api.add(campaign, "14694652751")
    await api.act(campaign, "activate")
    await api.act(campaign, "pause")
    assert (await api.process())["released"] == 0
    await api.act(campaign, "resume")
    assert (await api.process())["released"] == 1


async def test_a_daily_limit_spreads_people_over_days_and_later_ones_join(api: Api) -> None:
    campaign = await api.campaign(daily_send_limit=2)
    await api.add(campaign, *(str(14694650000 + n) for n in range(5)))
    await api.act(campaign, "activate")
    await api.add(campaign, "14694651000", "14694651001")
    rows = await api.rows(
        "SELECT scheduled_send_date::date - now()::date, count(*) FROM campaign_recipients GROUP BY 1 ORDER BY 1"
    )
    assert rows == [(0, 2), (1, 2), (2, 2), (3, 1)]
    assert await api.process() == {"released": 2, "skipped": 0, "due_later": 5, "already_released": 0}


async def test_an_opted_out_person_is_skipped_with_the_reason(api: Api) -> None:
    campaign = await api.campaign()
    await api.add(campaign, "14694652751", "19453083188")
    path = "/api/marketing/subscriptions/+1 469 465 2751"
    assert (await api.http.put(path, json={"subscribed": False})).json() == {
        "subscribed": False,
        "out_by": ["operator"],
    }
    await api.act(campaign, "activate")
    assert await api.process() == {"released": 1, "skipped": 1, "due_later": 0, "already_released": 0}
    rows = await api.rows(
        "SELECT phone_number, status, failure_reason, attempt FROM campaign_recipients ORDER BY created_at"
    )
    assert rows == [("14694652751", "skipped", "opted_out", 1), ("19453083188", "queued", None, 1)]
    assert (await api.http.put(path, json={"subscribed": True})).json() == {"subscribed": True, "out_by": []}


async def test_recipients_are_listed_page_by_page_and_as_csv(api: Api) -> None:
    campaign = await api.campaign()
    await api.add(campaign, *(str(14694650000 + n) for n in range(25)))
    path = f"{CAMPAIGNS}/{campaign}/recipients"
    seen: list[str] = []
    after = None
    while True:
        page = (await api.http.get(path, params={"limit": 10, **({"after": after} if after else {})})).json()
        seen += [each["phone_number"] for each in page["recipients"]]
        after = page["next"]
        if after is None:
            break
    assert sorted(seen) == [str(14694650000 + n) for n in range(25)]
    assert (await api.http.get(path, params={"status": "sent"})).json() == {"recipients": [], "next": None}
    found = (await api.http.get(path, params={"phone_number": "+1 469 465 0007"})).json()
    assert [each["phone_number"] for each in found["recipients"]] == ["14694650007"]
    assert (await api.http.get(path, params={"status": "nothing"})).status_code == 422

    listed = await api.http.get(path, headers={"Accept": "text/csv"})
    lines = listed.text.splitlines()
    assert listed.headers["content-type"].startswith("text/csv")
    assert lines[0].startswith("id,campaign_id,phone_number,status,")
    assert len(lines) == 26


async def test_a_cell_that_a_spreadsheet_would_run_is_quoted(api: Api) -> None:
    campaign = await api.campaign()
    await api.add(campaign, "14694652751")
    await api.rows("UPDATE campaign_recipients SET failure_text = '=cmd()', attempt = 1, failed_attempts = 2")
    path = f"{CAMPAIGNS}/{campaign}/recipients"
    assert "'=cmd()" in (await api.http.get(f"{path}?format=csv")).text
    for_excel = await api.http.get(f"{path}?format=excel&status=failed")
    assert for_excel.headers["content-type"] == "text/csv; charset=utf-16"
    head, line = for_excel.content.decode("utf-16").splitlines()
    assert head.startswith("id\tcampaign_id\tphone_number\tstatus\t")
    assert '\t"=""+14694652751"""\tfailed\t' in line
    assert "\t'=cmd()\t" in line
    assert len((await api.http.get(f"{path}?format=excel&status=sent")).content.decode("utf-16").splitlines()) == 1


async def test_an_idempotency_key_gives_the_stored_answer_and_does_nothing_twice(api: Api) -> None:
    key = {"Idempotency-Key": "k-1"}
    first = await api.http.post(CAMPAIGNS, json=CAMPAIGN, headers=key)
    again = await api.http.post(CAMPAIGNS, json=CAMPAIGN, headers=key)
    assert again.json() == first.json()
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
    assert await api.rows("SELECT count(*) FROM marketing_campaigns") == [(1,)]
    other = await api.http.post(CAMPAIGNS, json={**CAMPAIGN, "name": "other"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_a_key_whose_first_request_runs_is_409(api: Api) -> None:
    async with api.pool.connection() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('idempotency-key k-2', 0))")
        answer = await api.http.post(CAMPAIGNS, json=CAMPAIGN, headers={"Idempotency-Key": "k-2"})
    assert (answer.status_code, answer.json()["code"]) == (409, "request_in_progress")


async def test_a_failed_request_is_not_stored_under_its_key(api: Api) -> None:
    campaign = await api.campaign()
    await api.act(campaign, "cancel")
    path, key = f"{CAMPAIGNS}/{campaign}/recipients", {"Idempotency-Key": "k-3"}
    body = {"phone_numbers": ["14694652751"]}
    assert (await api.http.post(path, json=body, headers=key)).status_code == 409
    assert await api.rows("SELECT count(*) FROM idempotency_keys") == [(0,)]


async def test_too_many_recipients_are_refused_and_ten_thousand_are_not(api: Api) -> None:
    campaign = await api.campaign()
    path = f"{CAMPAIGNS}/{campaign}/recipients"
    many = [str(14694650000 + n) for n in range(10_001)]
    refused = await api.http.post(path, json={"phone_numbers": many})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "phone_numbers")
    assert (await api.add(campaign, *many[:10_000]))["added"] == 10_000


async def test_probes_and_openapi_and_the_page(api: Api) -> None:
    assert (await api.http.get("/health")).json() == {"status": "ok"}
    assert (await api.http.get("/ready")).json()["status"] == "ready"
    assert f"{CAMPAIGNS}/{{campaign_id}}/stats" in (await api.http.get("/openapi.json")).json()["paths"]
    await api.campaign(name="<script>alert(1)</script>")
    page = await api.http.get("/")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    [listed] = (await api.http.get("/api/marketing/campaigns")).json()["campaigns"]
    assert f"<code>{listed['id'][-8:]}</code>" in page.text, "commands take the end of an id"
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_without_postgres_requests_are_503_and_the_process_is_healthy(kafka: str, topic_prefix: str) -> None:
    make_topics(kafka, topic_prefix)
    async with an_api("postgresql://postgres@127.0.0.1:1/none", kafka, topic_prefix) as api:
        answer = await api.http.get(CAMPAIGNS)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer.headers["retry-after"]
        assert (await api.http.get("/health")).status_code == 200
        ready = await api.http.get("/ready")
        assert (ready.status_code, ready.json()["checks"]) == (503, {"postgres": False, "kafka": True})
        page = await api.http.get("/")
        assert (page.status_code, page.headers["content-type"]) == (503, "text/html; charset=utf-8")
        assert "Postgres does not answer" in page.text
        assert '<meta http-equiv="refresh" content="5">' in page.text, "it recovers without a person"


async def test_with_configured_keys_the_whole_api_needs_one(database_url: str, kafka: str, topic_prefix: str) -> None:
    async with an_api(database_url, kafka, topic_prefix, keys=("a-key",)) as api:
        for path in (CAMPAIGNS, "/"):
            assert (await api.http.get(path)).status_code == 401
            assert (await api.http.get(path, headers={"X-API-Key": "a-key"})).status_code == 200
        assert (await api.http.post("/api/marketing/process-daily")).status_code == 401
        assert "This page needs a key" in (await api.http.get("/")).text
        assert (await api.http.get("/", auth=("anyone", "a-key"))).status_code == 401
        for path in ("/docs", "/docs/start.js", "/docs/swagger-ui.css", "/openapi.json"):
            assert (await api.http.get(path)).status_code == 200


async def test_each_change_of_a_campaign_is_a_log_line_with_its_key(
    database_url: str, kafka: str, topic_prefix: str
) -> None:
    key = "a-key-of-the-operators"
    async with an_api(database_url, kafka, topic_prefix, keys=(key,)) as api:
        api.http.headers["X-API-Key"] = key
        with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
            once = {"Idempotency-Key": "k-1"}
            for _ in range(2):
                campaign = (await api.http.post(CAMPAIGNS, json=CAMPAIGN, headers=once)).json()["id"]
            await api.add(campaign, "14694652751")
            for action in ("activate", "pause", "resume", "cancel"):
                assert await api.act(campaign, action) == 200
            assert await api.act(campaign, "resume") == 409
    assert [line["event"] for line in lines if line.get("campaign_id") == campaign] == [
        "campaign created", "campaign activated", "campaign paused", "campaign resumed", "campaign cancelled",
    ]  # fmt: skip
    assert {line["api_key"] for line in lines} == {key_id(key.encode())}
    assert key not in str(lines)


async def test_requests_that_hold_every_other_connection_keep_nobody_from_stopping(api: Api) -> None:
    campaign = await api.campaign()
    await api.add(campaign, "14694652751")
    assert await api.act(campaign, "activate") == 200
    async with AsyncExitStack() as held:
        for pool in (api.pool, api.lists):
            for _ in range(pool.max_size):
                await held.enter_async_context(pool.connection())
        assert (await api.http.get(f"/api/marketing/campaigns/{campaign}")).status_code == 503
        assert await api.act(campaign, "pause") == 200
        stopped = await api.http.put("/api/marketing/subscriptions/14694652751", json={"subscribed": False})
        assert stopped.status_code == 200
        assert await api.act(campaign, "cancel") == 200


async def test_a_list_that_takes_long_is_ended(api: Api) -> None:
    async with api.lists.connection() as connection:
        row = await (await connection.execute("SHOW statement_timeout")).fetchone()
    assert row == ("5s",)
