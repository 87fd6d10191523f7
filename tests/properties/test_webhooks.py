"""Parsing accepts any bytes, an invalid item affects no other item, and ids are decoded unchanged."""

import json
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.correlation import IgnoredStatus, Ownership, RefusedStatus, decide
from producers.ingress.signature import SignatureCheck, check, escape_unicode, sign
from schemas.bundles import Body, decode_bundle, encode_bundle
from schemas.callback import Callback, NotOurs, decode, encode
from schemas.codec import Malformed
from schemas.events import Origin, RecipientEvent
from schemas.model import ATTEMPT_MAX, CampaignId, RecipientId
from schemas.webhook_statuses import StatusItem
from schemas.webhooks import BadItem, parse_body

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
)
names = st.sampled_from(
    [
        "id",
        "status",
        "timestamp",
        "errors",
        "code",
        "title",
        "error_data",
        "pricing",
        "category",
        "statuses",
        "value",
        "entry",
        "changes",
        "field",
        "metadata",
        "phone_number_id",
        "object",
        "messages",
        "biz_opaque_callback_data",
    ]
)
trees = st.recursive(
    scalars | st.sampled_from(["sent", "failed", "messages", "1767225600"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=6),
    max_leaves=25,
)
GOOD = {"id": "wamid.GOOD", "status": "read", "timestamp": "1767225600"}
RECEIVED_AT = datetime(2026, 1, 1, 1, tzinfo=UTC)
OURS = Ownership(b"secret", "default")


def dumped(tree: Any) -> bytes:
    return json.dumps(tree).encode()


@settings(deadline=None)  # the machine is shared
@given(st.binary(max_size=200))
def test_any_bytes_are_items_or_malformed(raw: bytes) -> None:
    with suppress(Malformed):
        assert isinstance(parse_body(raw), list)


@settings(deadline=None)
@given(trees)
def test_any_json_gives_a_decision_for_every_item(tree: Any) -> None:
    try:
        items = parse_body(dumped(tree))
    except Malformed:
        return
    for item in items:
        if isinstance(item, StatusItem):
            decided = decide(item, RECEIVED_AT, OURS, Origin(topic="t", partition=0, offset=0))
            assert isinstance(decided, RecipientEvent | IgnoredStatus | RefusedStatus)


@settings(deadline=None)
@given(st.lists(trees, max_size=4), st.lists(trees, max_size=4))
def test_a_valid_status_is_read_among_any_other_fields(before: list[Any], after: list[Any]) -> None:
    items = parse_body(dumped({"statuses": [*before, GOOD, *after]}))
    assert [item for item in items if isinstance(item, StatusItem) and item.wamid == "wamid.GOOD"]
    assert len([item for item in items if isinstance(item, StatusItem | BadItem)]) >= 1 + len(before) + len(after)


@pytest.mark.parametrize("name", ["messages", "Messages", " MESSAGES ", None])
@pytest.mark.parametrize("account", ["whatsapp_business_account", "WhatsApp_Business_Account", None])
def test_a_status_is_read_whatever_the_case_of_the_names_around_it(name: str | None, account: str | None) -> None:
    good = {**GOOD, "status": " Read ", "type": ""}
    change = {"field": name, "value": {"statuses": [good]}}
    [item] = parse_body(dumped({"object": account, "entry": [{"changes": [change]}]}))
    assert isinstance(item, StatusItem)
    assert item.status == "read"


@pytest.mark.parametrize("name", [0, True, [], {}, 1.5])
def test_a_change_whose_field_is_no_name_is_bad(name: object) -> None:
    change = {"field": name, "value": {"statuses": [GOOD]}}
    assert parse_body(dumped({"entry": [{"changes": [change]}]})) == [BadItem("malformed_change")]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2**52), st.binary(max_size=50)), max_size=20))
def test_a_bundle_is_decoded_to_its_bodies(bodies: list[tuple[int, bytes]]) -> None:
    made = [Body(received_at_us, raw) for received_at_us, raw in bodies]
    assert decode_bundle(encode_bundle(made)) == made


@settings(deadline=None)
@given(st.binary(max_size=100))
def test_any_record_is_a_bundle_or_malformed(record: bytes) -> None:
    with suppress(Malformed):
        assert all(isinstance(body.raw, bytes) for body in decode_bundle(record))


@settings(deadline=None)
@given(st.binary(min_size=1), st.from_regex(r"[a-zA-Z0-9_-]{1,16}", fullmatch=True), st.uuids(), st.uuids(), st.data())
def test_callback_data_is_decoded_unchanged(
    secret: bytes, deployment: str, campaign: uuid.UUID, recipient: uuid.UUID, data: st.DataObject
) -> None:
    attempt = data.draw(st.integers(1, ATTEMPT_MAX))
    text = encode(secret, deployment, campaign, recipient, attempt)
    assert len(text) < 128
    assert decode(secret, deployment, text) == Callback(CampaignId(campaign), RecipientId(recipient), attempt)
    at = data.draw(st.integers(0, len(text) - 1))
    changed = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
    assert isinstance(decode(secret, deployment, changed), NotOurs)


@settings(deadline=None)
@given(st.text())
def test_any_text_is_decoded_without_an_error(text: str) -> None:
    assert isinstance(decode(b"secret", "default", text), NotOurs)


@settings(deadline=None)
@given(st.text(max_size=50), st.binary(min_size=1, max_size=20))
def test_only_a_body_signed_raw_or_escaped_is_genuine(text: str, secret: bytes) -> None:
    body = json.dumps(text, ensure_ascii=False).encode("utf-8", "replace")
    escaped = b"".join(escape_unicode(body))
    assert check([secret], sign(secret, body), body) is SignatureCheck.GENUINE
    assert check([secret], sign(secret, escaped), body) is SignatureCheck.GENUINE
    assert check([secret], sign(secret, body + b" "), body) is SignatureCheck.MISMATCH
