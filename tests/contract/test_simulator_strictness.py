"""The simulator over real HTTP refuses what Meta refuses, with the code, the status and the body of Meta's answers."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.contract.simulator_client import Bench, bench, json_of, quick, template_message

NUMBER = "106540352242922"
ACCOUNT = "102290129340398"
PERSON = "4915112345678"
RIGHT = {"Authorization": "Bearer token"}
BODY = {"type": "BODY", "text": "Hi {{1}}"}
PROMO = {"name": "promo", "category": "MARKETING", "components": [BODY]}


async def posted(it: Bench, path: str, body: object, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """A POST and its answer."""
    async with it.http.post(it.url + path, json=body, headers=RIGHT if headers is None else headers) as answer:
        return answer.status, await json_of(answer)


async def read(it: Bench, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """A GET and its answer."""
    async with it.http.get(it.url + path, headers=RIGHT if headers is None else headers) as answer:
        return answer.status, await json_of(answer)


def with_components(*components: object, name: str = "promo") -> dict[str, Any]:
    message = template_message(PERSON, "mine-1")
    return message | {"template": {"name": name, "language": {"code": "en_US"}, "components": list(components)}}


def with_text(value: object) -> dict[str, Any]:
    return with_components({"type": "body", "parameters": [{"type": "text", "text": value}]}, name="other")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (with_text("two\nlines"), 400, 132018),
        (with_text(""), 400, 131008),
        (with_text(5), 400, 100),
        (with_text("x" * 40_000), 400, 132005),
        (with_components({"type": "body", "parameters": []}), 400, 132000),
        (with_components(), 400, 132000),
        (with_components({"type": "poem"}), 400, 100),
        (template_message("not a number"), 400, 131009),
        (template_message("15550783881"), 400, 131021),
        ({**template_message(PERSON), "to": None, "recipient": "nobody"}, 400, 131009),
        ({**template_message(PERSON), "type": "image", "image": {}}, 400, 131008),
        ({**template_message(PERSON), "recipient_type": "group"}, 400, 131009),
        ({**template_message(PERSON), "template": {"name": "promo", "language": {"code": "de"}}}, 404, 132001),
        ([], 400, 100),
        ({}, 400, 100),
    ],
)
async def test_a_refused_send_has_metas_error_body_and_is_in_the_ledger(body: object, status: int, code: int) -> None:
    async with bench(quick(templates=[PROMO])) as it:
        found, answer = await posted(it, f"/v25.0/{NUMBER}/messages", body)
        error = answer["error"]
        assert (found, error["code"], error["type"]) == (status, code, "OAuthException")
        assert error["message"].startswith(f"(#{code}) ")
        assert len(error["fbtrace_id"]) == 23
        if "error_data" in error:
            assert error["error_data"]["messaging_product"] == "whatsapp"
            assert error["error_data"]["details"]
        (entry,) = await it.ledger()
        assert (entry["accepted"], entry["code"], entry["http_status"]) == (False, code, status)


@pytest.mark.parametrize("version", ["v3.0", "v20.0", "v99.0", "v25.1"])
async def test_an_unknown_version_is_an_unknown_path(version: str) -> None:
    async with bench(quick()) as it:
        for status, answer in (
            await posted(it, f"/{version}/{NUMBER}/messages", template_message(PERSON)),
            await read(it, f"/{version}/{NUMBER}"),
        ):
            assert (status, answer["error"]["code"]) == (400, 2500)


@pytest.mark.parametrize("path", ["/v25.0", "/v25.0/me/messages", f"/v25.0/{NUMBER}/mesages", "/messages"])
async def test_an_unknown_path_is_refused(path: str) -> None:
    async with bench(quick()) as it:
        status, answer = await posted(it, path, template_message(PERSON))
        assert (status, answer["error"]["code"]) == (400, 2500)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic dG9rZW4="},
        {"Authorization": "token"},
        {"Authorization": "Bearer to ken"},
        {"Authorization": "Bearer tokén"},
    ],
)
@pytest.mark.parametrize("path", [f"/{NUMBER}", f"/{ACCOUNT}", f"/{ACCOUNT}/message_templates", "/1037543291543001"])
async def test_every_read_needs_a_token(headers: dict[str, str], path: str) -> None:
    async with bench(quick()) as it:
        status, answer = await read(it, f"/v25.0{path}", headers)
        assert (status, answer["error"]["code"]) == (401, 190)


async def test_a_token_in_the_query_is_taken_too() -> None:
    async with bench(quick(access_token="right")) as it:
        assert (await read(it, f"/v25.0/{NUMBER}?access_token=right", {}))[0] == 200
        assert (await read(it, f"/v25.0/{NUMBER}?access_token=wrong", {}))[0] == 401


async def test_a_number_with_its_own_token_takes_no_other() -> None:
    async with bench(quick(access_token="right", number_tokens={"2": "second"})) as it:
        tokens = [(NUMBER, "right"), ("2", "second"), (NUMBER, "second"), ("2", "right")]
        read_as = [(await read(it, f"/v25.0/{number}?access_token={token}", {}))[0] for number, token in tokens]
        assert read_as == [200, 200, 401, 401]


async def test_an_object_that_the_account_does_not_have_is_code_100_with_subcode_33() -> None:
    async with bench(quick(phone_number_ids=["1"])) as it:
        for path in (f"/{NUMBER}", "/1280000000000999", f"/{NUMBER}/block_users"):
            status, answer = await read(it, f"/v25.0{path}")
            error = answer["error"]
            assert (status, error["code"], error["error_subcode"]) == (400, 100, 33)
            assert error["type"] == "GraphMethodException"


async def test_a_field_that_does_not_exist_is_refused_and_others_are_selected() -> None:
    async with bench(quick()) as it:
        assert (await read(it, f"/v25.0/{NUMBER}?fields=shoe_size"))[1]["error"]["code"] == 100
        found = await read(it, f"/v25.0/{NUMBER}?fields=quality_rating,health_status{{entities}},search_visibility")
        assert sorted(found[1]) == ["health_status", "id", "quality_rating"]


async def test_answers_have_metas_headers() -> None:
    async with bench(quick()) as it:
        async with it.send(PERSON) as sent, it.http.get(f"{it.url}/v25.0/{NUMBER}", headers=RIGHT) as shown:
            for answer in (sent, shown):
                usage = orjson.loads(answer.headers["x-business-use-case-usage"])
                assert usage[ACCOUNT][0]["estimated_time_to_regain_access"] == 0
                assert answer.headers["facebook-api-version"] == "v25.0"
        await it.control("rules", outcome="foreign")
        async with it.send(PERSON) as foreign:
            assert "x-business-use-case-usage" not in foreign.headers


async def test_one_person_gets_a_burst_and_then_the_pair_limit() -> None:
    async with bench(quick()) as it:
        answers = [await it.sent(PERSON, str(n)) for n in range(46)]
        assert [status for status, _ in answers] == [200] * 45 + [400]
        assert answers[-1][1]["error"]["code"] == 131056
        assert (await it.sent("4915187654321"))[0] == 200


@pytest.mark.parametrize(
    ("number", "settings", "statuses"),
    [
        ("16505551234", {}, ["failed"]),
        ("16505551234", {"us_marketing": True}, ["sent", "delivered", "read"]),
        ("16045551234", {}, ["sent", "delivered", "read"]),
    ],
)
async def test_marketing_does_not_reach_the_united_states(
    number: str, settings: dict[str, object], statuses: list[str]
) -> None:
    alone = quick().statuses.model_copy(update={"failed_alone_share": 1.0})
    async with bench(quick(statuses=alone, **settings)) as it:
        assert (await it.sent(number))[0] == 200
        await it.quiet()
        assert [status["status"] for status in it.receiver.statuses()] == statuses
        codes = [status["errors"][0]["code"] for status in it.receiver.statuses() if "errors" in status]
        assert codes == [131049] * statuses.count("failed")


async def test_a_utility_template_reaches_the_united_states() -> None:
    async with bench(quick(templates=[{"name": "promo", "category": "UTILITY"}])) as it:
        await it.sent("16505551234")
        await it.quiet()
        assert [status["pricing"]["category"] for status in it.receiver.statuses() if "pricing" in status] == [
            "utility"
        ] * 2


async def test_marketing_does_not_reach_a_person_who_stopped_it() -> None:
    async with bench(quick()) as it:
        failures: list[list[int]] = []
        for value in ("stop", "resume"):
            await it.control("events/preference", number=PERSON, value=value)
            await it.sent(PERSON)
            await it.quiet()
            failures.append([one["errors"][0]["code"] for one in it.receiver.statuses() if "errors" in one])
            it.receiver.bodies.clear()
        assert failures == [[131050], []]


async def test_free_messages_need_an_open_window_if_that_is_set() -> None:
    text = {"type": "text", "text": {"body": "Hello"}}
    async with bench(quick(service_window=True)) as it:
        await it.sent(PERSON, "closed", **text)
        await it.control("events/message", number=PERSON)
        await it.sent(PERSON, "open", **text)
        await it.quiet()
        failed = [status for status in it.receiver.statuses() if status["status"] == "failed"]
        assert [(one["biz_opaque_callback_data"], one["errors"][0]["code"]) for one in failed] == [("closed", 131047)]


async def test_a_whatsapp_id_can_differ_from_the_number_that_was_dialled() -> None:
    async with bench(quick(other_wa_id_share=1.0)) as it:
        answer = (await it.sent("+525512345678"))[1]
        assert answer["contacts"] == [{"input": "+525512345678", "wa_id": "5215512345678"}]
        await it.quiet()
        assert {status["recipient_id"] for status in it.receiver.statuses()} == {"5215512345678"}


@pytest.mark.parametrize(
    ("settings", "path", "code"),
    [
        ({"marketing_endpoint_only": True}, "messages", 131063),
        ({"templates": [{"name": "promo", "category": "UTILITY"}]}, "marketing_messages", 134100),
        ({"are_templates_known": True}, "messages", 132001),
        ({"templates": [{"name": "promo", "status": "PAUSED"}]}, "messages", 132015),
        ({"templates": [{"name": "promo", "status": "DISABLED"}]}, "messages", 132016),
    ],
)
async def test_a_template_that_is_not_sendable_here_is_refused(
    settings: dict[str, object], path: str, code: int
) -> None:
    async with bench(quick(**settings)) as it:
        _, answer = await posted(it, f"/v25.0/{NUMBER}/{path}", template_message(PERSON))
        assert answer["error"]["code"] == code


async def test_an_authentication_template_needs_a_number() -> None:
    async with bench(quick(templates=[{"name": "promo", "category": "AUTHENTICATION"}])) as it:
        _, answer = await posted(
            it, f"/v25.0/{NUMBER}/messages", {**template_message(PERSON), "to": None, "recipient": "DE.1"}
        )
        assert answer["error"]["code"] == 131062


@pytest.mark.parametrize(
    ("body", "subcode"),
    [
        ({"language": "en_US", "category": "MARKETING", "components": [BODY]}, None),
        ({"name": "a b", "language": "en_US", "category": "MARKETING", "components": [BODY]}, None),
        ({"name": "new", "language": "english", "category": "MARKETING", "components": [BODY]}, None),
        ({"name": "new", "language": "en_US", "category": "SPAM", "components": [BODY]}, None),
        ({"name": "new", "language": "en_US", "category": "UTILITY", "components": [{"type": "FOOTER"}]}, None),
        ({"name": "new", "language": "en_US", "category": "UTILITY", "components": [BODY, BODY]}, None),
        ({"name": "new", "language": "en_US", "category": "UTILITY", "components": "Hi"}, None),
        (
            {
                "name": "new",
                "language": "en_US",
                "category": "UTILITY",
                "components": [{"type": "BODY", "text": "{{2}}"}],
            },
            None,
        ),
        ({"name": "hello_world", "language": "en_US", "category": "UTILITY", "components": [BODY]}, 2388024),
    ],
)
async def test_an_invalid_template_is_not_created(body: dict[str, object], subcode: int | None) -> None:
    async with bench(quick()) as it:
        status, answer = await posted(it, f"/v25.0/{ACCOUNT}/message_templates", body)
        assert (status, answer["error"]["code"], answer["error"].get("error_subcode")) == (400, 100, subcode)


async def test_lists_have_pages() -> None:
    templates = [{"name": f"t{n}", "category": "UTILITY"} for n in range(5)]
    async with bench(quick(templates=templates)) as it:
        names, path = [], f"/v25.0/{ACCOUNT}/message_templates?limit=2&fields=name"
        while path:
            _, page = await read(it, path)
            names.append([one["name"] for one in page["data"]])
            path = page["paging"].get("next", "").removeprefix(it.url)
        assert names == [["t0", "t1"], ["t2", "t3"], ["t4"]]
        _, last = await read(
            it, f"/v25.0/{ACCOUNT}/message_templates?limit=2&after={page['paging']['cursors']['before']}"
        )
        assert last["data"] == []
        for query in ("limit=0", "limit=x", "after=?"):
            assert (await read(it, f"/v25.0/{ACCOUNT}/message_templates?{query}"))[1]["error"]["code"] == 100


async def test_the_whole_api_is_down_in_an_outage() -> None:
    async with bench(quick()) as it:
        await it.control("outage", side="api", kind="503", seconds=60)
        for path in (f"/v25.0/{NUMBER}", f"/v25.0/{ACCOUNT}/message_templates"):
            async with it.http.get(it.url + path, headers=RIGHT) as answer:
                assert answer.status == 503
        reading = {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.X"}
        async with it.http.post(f"{it.url}/v25.0/{NUMBER}/messages", json=reading, headers=RIGHT) as answer:
            assert answer.status == 503
        await it.control("outage", side="api", seconds=0)
        assert (await posted(it, f"/v25.0/{NUMBER}/messages", reading)) == (200, {"success": True})
        assert await it.ledger() == []
