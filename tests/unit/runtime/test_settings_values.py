"""The grammar of single values: what people really paste is repaired where that is harmless, and refused otherwise."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import settings_values as values

SECRET = "hunter2"


@pytest.mark.parametrize("around", ["\n", "\r\n", " ", "\t", "\u00a0", "\u200b", "\ufeff", "\u2060"])
def test_what_a_copy_leaves_around_a_value_is_removed(around: str) -> None:
    assert values.cleaned(f"{around}EAAG{around}") == "EAAG"


@pytest.mark.parametrize("inside", ["\n", "\r", "\x00", "\u00a0", "\u200b", "\u202a", "\ufeff", "\x7f"])
def test_what_nobody_sees_inside_a_value_is_refused_by_its_place(inside: str) -> None:
    with pytest.raises(ValueError, match=r"place 5 of 12.*U\+") as refusal:
        values.cleaned(f"EAAG{inside}{SECRET}")
    assert SECRET not in str(refusal.value)


def test_bytes_that_are_no_text_are_refused() -> None:
    """The environment of a process holds bytes. Python shows those that are no UTF-8 as lone surrogates."""
    with pytest.raises(ValueError, match="no UTF-8 text"):
        values.cleaned("EAAG\udc80x")


@pytest.mark.parametrize("text", ["two words", "'quoted'", '"quoted"', "Bearer EAAG", "schlüssel", "a\u2014b"])
def test_a_credential_that_no_header_can_hold_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is in quotation marks|starts with|has a space") as refusal:
        values.credential(text)
    assert text not in str(refusal.value)


def test_a_list_of_only_commas_is_no_list() -> None:
    assert values.credentials("one, two,") == ("one", "two")
    with pytest.raises(ValueError, match=r"only commas"):
        values.credentials(" , ")


@pytest.mark.parametrize(
    ("given_text", "clean"),
    [
        ("kafka", "kafka:9092"),
        ("a:1,b:2", "a:1,b:2"),
        ("a:1, b:2,", "a:1,b:2"),
        ("[::1]:9", "[::1]:9"),
        ("10.0.0.1:65535", "10.0.0.1:65535"),
        ("kafka_1.internal:9092", "kafka_1.internal:9092"),
    ],
)
def test_addresses_of_brokers(given_text: str, clean: str) -> None:
    assert values.kafka_servers(given_text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "", ",", "a:0", "a:65536", "a:", "a:9092x", "a..b:1", "-a:1", "a b:1", ":9092", "SASL_SSL://a:1",
        f"user:{SECRET}@a:1", "[::1", "[::1]9092", "::1", "300.1.1.1:1", "a:٣",
    ],
)  # fmt: skip
def test_wrong_addresses_of_brokers_are_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError, match=r"has |expects ") as refusal:
        values.kafka_servers(text)
    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize(
    "text", ["https://graph.facebook.com", "http://127.0.0.1:8002/", "https://[::1]:1/a/b", "http://simulator:8002"]
)
def test_addresses_of_the_cloud_api(text: str) -> None:
    assert values.http_base(text) == text.rstrip("/")


@pytest.mark.parametrize(
    "text",
    [
        "graph.facebook.com", "https:/graph.facebook.com", "http://a..b", "https://user:p@ss@host", "https://", "http://:80",
        "https://host:99999", "https://host:", "https://ho st", "https://host/a b", "https://host?x=1", "https://host#x",
        "https://graph.facebook.com/v25.0", "http://graph.facebook.com", "https://host/%zz", "https://host\\path",
        f"https://{SECRET}@host", "ftp://host",
    ],
)  # fmt: skip
def test_wrong_addresses_of_the_cloud_api_are_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError, match=r"has |expects |names |would ") as refusal:
        values.http_base(text)
    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("http://collector:4318", "http://collector:4318"),
        ("http://collector:4318/", "http://collector:4318"),
        ("http://collector:4318/v1/traces", "http://collector:4318"),
        ("https://traces.example.com/otlp/v1/traces/", "https://traces.example.com/otlp"),
    ],
)
def test_addresses_of_a_collector(text: str, base: str) -> None:
    assert values.collector(text) == base


@pytest.mark.parametrize(
    "text", ["collector:4318", "grpc://collector:4317", f"https://user:{SECRET}@host", "https://host?key=1", "http://"]
)
def test_wrong_addresses_of_a_collector_are_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError, match=r"has |expects ") as refusal:
        values.collector(text)
    assert SECRET not in str(refusal.value)


@given(st.from_regex(r"https?://[a-z0-9_.:\[\]@/%?#-]{1,30}", fullmatch=True) | st.text().map("https://{}".format))
def test_an_address_that_is_accepted_can_be_requested(text: str) -> None:
    try:
        base = values.http_base(text)
    except ValueError:
        return
    url = httpx.URL(f"{base}/v25.0/1/messages")
    assert url.host
    assert url.scheme in ("http", "https")
    assert values.host_of(base) == url.host.lower()


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u:p@h:5432/d?sslmode=require", "postgres://h/d", "postgresql:///d", "postgresql://a:1,b:2/d",
        "postgresql://%2Fvar%2Frun/d", "host=/var/run dbname=d", "postgresql://u:p%40ss@[::1]:1/d",
        "postgresql://h/d?options=-c%20search_path%3Dtwo",
    ],
)  # fmt: skip
def test_addresses_of_postgres(text: str) -> None:
    assert values.postgres_address(text) == text


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql+psycopg://u:{SECRET}@h/d", f"jdbc:postgresql://h/d?password={SECRET}", f"u:{SECRET}@h/d", "h",
        f"postgresql://u:{SECRET}%@h/d", f"postgresql://u:{SECRET}%zz@h/d", f"postgresql://u:{SECRET}@s@h/d",
        f"postgresql://u:{SECRET}/x@h/d", f"postgresql://u:{SECRET}#@h/d", f"postgresql://u:{SECRET}?x@h/d",
        f"postgresql://u:{SECRET}@h:0/d", f"postgresql://u:{SECRET}@a..b/d", f"postgresql://u:{SECRET} x@h/d",
        f"mysql://u:{SECRET}@h/d",
    ],
)  # fmt: skip
def test_wrong_addresses_of_postgres_are_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError, match=r"has |expects ") as refusal:
        values.postgres_address(text)
    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize(
    ("address", "password"),
    [
        ("postgresql://u:ch%61nge@h/d", "change"),
        ("postgresql://u@h/d?password=ch%61nge&sslmode=require", "change"),
        ("host=h password=change dbname=d", "change"),
        ("host=h password = 'ch ange'", "ch ange"),
        ("postgresql://h/d", ""),
        ("host=h", ""),
    ],
)
def test_the_password_of_an_address_is_found_to_judge_it(address: str, password: str) -> None:
    assert values.postgres_password(address) == password


@given(st.text(st.characters(max_codepoint=0x2100), max_size=20))
def test_a_credential_that_is_accepted_can_be_sent(text: str) -> None:
    try:
        token = values.credential(values.cleaned(text))
    except ValueError:
        return
    headers = httpx.Headers({"Authorization": f"Bearer {token}"})
    assert headers["authorization"].encode("ascii") == b"Bearer " + token.encode()
    assert not set("\r\n\0 ") & set(token)


AZURE = "Endpoint=sb://n.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=ab+c/d="


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("a=b", {"a": "b"}),
        (" a = b ; c.d=e=f ;", {"a": "b", "c.d": "e=f"}),
        (f'sasl.password="{AZURE}"; x=1', {"sasl.password": AZURE, "x": "1"}),
        ('a="say ""no"""', {"a": 'say "no"'}),
        ("a='it''s; so'", {"a": "it's; so"}),
        ('a=""', {"a": ""}),
        ("", {}),
    ],
)
def test_options_may_be_quoted(text: str, options: dict[str, str]) -> None:
    assert values.options(text) == options


@pytest.mark.parametrize("text", [SECRET, f"=x{SECRET}", f'a="{SECRET}', f'a="x"{SECRET}', f"a=1;{SECRET}", "a=1;a=2"])
def test_wrong_options_are_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError, match=r"option") as refusal:
        values.options(text)
    assert SECRET not in str(refusal.value)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), st.sampled_from("\"'"))
def test_any_value_can_be_quoted(value: str, mark: str) -> None:
    quoted = f"{mark}{value.replace(mark, mark * 2)}{mark}"
    assert values.options(f"first={quoted};second=2") == {"first": value, "second": "2"}
