"""The grammar of each kind of value in a setting: pure functions from a text to a clean value.

Each raises ValueError with a sentence that says what is expected and never contains the value, because a value may be
a secret, or hold one where nobody expects it (a password in an address, a token in the wrong variable).
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import parse_qs, unquote

PORTS = range(1, 65536)
DEFAULT_KAFKA_PORT = 9092
OPTION_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")

_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_PATH = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)*/?")
_VERSIONED = re.compile(r"/v\d+(\.\d+)?(/|$)")
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_KEYWORDS = re.compile(r"\s*[a-z_]+\s*=")
_NAMED_PASSWORD = re.compile(r"\bpassword\s*=\s*(?:'(?P<quoted>[^']*)'|(?P<plain>\S*))")
_CATEGORIES_REFUSED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SPACE = " "


def cleaned(text: str) -> str:
    """The text without white space and invisible characters around it.

    Raises ValueError for one inside it: such a character comes from a copy, nobody sees it, and no server accepts it.
    """
    clean = stripped(text)
    if any(unicodedata.category(character) == "Cs" for character in clean):
        raise ValueError("is no UTF-8 text")
    for place, character in enumerate(clean, 1):
        if _is_invisible(character):
            raise ValueError(
                f"has an invisible character at place {place} of {len(clean)} ({_code_point(character)}): type it again"
            )
    return clean


def stripped(text: str) -> str:
    """The text without white space and invisible characters around it."""
    first, last = 0, len(text)
    while first < last and (text[first].isspace() or _is_invisible(text[first])):
        first += 1
    while last > first and (text[last - 1].isspace() or _is_invisible(text[last - 1])):
        last -= 1
    return text[first:last]


def _is_invisible(character: str) -> bool:
    if character == _SPACE:
        return False
    category = unicodedata.category(character)
    return category in _CATEGORIES_REFUSED or category == "Zs"


def _code_point(character: str) -> str:
    return f"U+{ord(character):04X} {unicodedata.name(character, '')}".strip()


def credential(text: str) -> str:
    """A token, key or secret that travels in an HTTP header: visible ASCII without spaces and quotation marks."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        raise ValueError("is in quotation marks: remove them")
    if text.lower().startswith("bearer "):
        raise ValueError("starts with `Bearer`: give the token alone")
    if not all("!" <= character <= "~" for character in text):
        raise ValueError("has a space or a character outside ASCII: no header can hold it")
    return text


def credentials(text: str) -> tuple[str, ...]:
    """Several of them, separated by commas. Raises ValueError if there is none."""
    found = tuple(credential(part) for part in _parts(text))
    if not found:
        raise ValueError("has only commas: give a value, or remove the variable")
    return found


def words(text: str) -> tuple[str, ...]:
    """Several texts, separated by commas. Raises ValueError if there is none."""
    found = tuple(_parts(text))
    if not found:
        raise ValueError("has only commas: give a word, or remove the variable")
    return found


def _parts(text: str) -> Iterator[str]:
    """The parts of a list between commas, each clean; a comma at the end is harmless."""
    return (part for each in text.split(",") if (part := cleaned(each)))


def host(text: str) -> str:
    """A host name or an IP address. Raises ValueError."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        pass
    else:
        return text
    labels = text.removesuffix(".").split(".")
    if len(text) > 253 or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        raise ValueError("has no valid host: a host is a name such as kafka-1.example.com, or an IP address")
    return text


def port(text: str) -> int:
    """A port, 1 to 65535. Raises ValueError."""
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) in PORTS):
        raise ValueError("has no valid port: a port is a number from 1 to 65535")
    return int(text)


def _host_and_port(text: str) -> tuple[str, int | None]:
    """`host`, `host:port`, `[IPv6]` or `[IPv6]:port`. Raises ValueError."""
    if text.startswith("["):
        name, bracket, rest = text.partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError("has no valid host: an IPv6 address is in brackets, such as [::1]:9092")
        return host(f"{name}]"), port(rest[1:]) if rest else None
    name, colon, rest = text.partition(":")
    return host(name), port(rest) if colon else None


def kafka_servers(text: str) -> str:
    """`host:port` of the brokers, separated by commas; a port that is not given is Kafka's own, 9092."""
    found = []
    for part in _parts(text):
        if "://" in part:
            raise ValueError("expects host:port without a protocol; CAMPAIGNS_KAFKA_EXTRA has security.protocol")
        if "@" in part:
            raise ValueError("has a user or a password; they have variables: CAMPAIGNS_KAFKA_USER and ..._PASSWORD")
        name, number = _host_and_port(part)
        found.append(f"{name}:{number or DEFAULT_KAFKA_PORT}")
    if not found:
        raise ValueError("expects host:port, separated by commas")
    return ",".join(found)


def http_base(text: str) -> str:
    """The base address of the Cloud API: scheme, host, port and path, without a slash at the end. Raises ValueError."""
    scheme, name, path = _http_address(text)
    if _VERSIONED.search(path):
        raise ValueError("names a version in its path: remove it; CAMPAIGNS_WHATSAPP_API_VERSION is its place")
    if scheme == "http" and _is_metas(name):
        raise ValueError("would send the token without encryption: use https://")
    return text.rstrip("/")


def registry(text: str) -> str:
    """The base address of a schema registry, such as https://registry/apis/ccompat/v7. Raises ValueError."""
    _http_address(text)
    return text.rstrip("/")


def collector(text: str) -> str:
    """The base address of a collector of traces, without the path that all collectors have. Raises ValueError."""
    _http_address(text)
    return text.rstrip("/").removesuffix("/v1/traces").rstrip("/")


def _http_address(text: str) -> tuple[str, str, str]:
    """The scheme, the host and the path of an address without a password and a query. Raises ValueError."""
    scheme, separator, rest = text.partition("://")
    if scheme not in ("http", "https") or not separator:
        raise ValueError("expects an address that starts with https:// or http://")
    authority, slash, path = rest.partition("/")
    if "@" in authority:
        raise ValueError("has a user or a password before the host: remove it")
    if any(mark in rest for mark in "?#"):
        raise ValueError("has a part after ? or #: remove it")
    name, _ = _host_and_port(authority)
    if not _PATH.fullmatch(slash + path) or _PERCENT.search(path):
        raise ValueError("has a path with characters that no address can hold")
    return scheme, name, slash + path


def host_of(address: str) -> str:
    """The host of an address that `http_base` has accepted, without brackets."""
    return _host_and_port(address.partition("://")[2].partition("/")[0])[0].strip("[]").lower()


def is_loopback(name: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return name.rstrip(".").lower() == "localhost"


def _is_metas(name: str) -> bool:
    return f".{name.rstrip('.').lower()}".endswith((".facebook.com", ".whatsapp.com"))


def postgres_address(text: str) -> str:
    """An address that starts with `postgresql://`, or libpq's `name=value` form. Raises ValueError.

    Each part that people mistype is judged here, because libpq's own messages quote the text, with its password.
    `tables.database` lets libpq parse the address as well.
    """
    scheme = _SCHEME.match(text)
    if scheme is None:
        if _KEYWORDS.match(text):
            return text
        raise ValueError("expects an address that starts with postgresql://")
    if scheme[1] not in ("postgresql", "postgres"):
        raise ValueError("expects an address that starts with postgresql://, without the name of a driver")
    if any(character.isspace() for character in text):
        raise ValueError("has a space: write it as %20")
    if _PERCENT.search(text):
        raise ValueError("has a % that starts no escape: write % as %25")
    authority = re.split(r"[/?#]", text[scheme.end() :], maxsplit=1)[0]
    if "#" in text:
        raise ValueError("has a #: write it as %23")
    if authority.count("@") > 1:
        raise ValueError("has several @: write an @ in the password as %40")
    for each in authority.rpartition("@")[2].split(","):
        try:
            if each and not each.startswith("%"):
                _postgres_host(each)
        except ValueError as error:
            raise ValueError(f"{error}. Write /, :, @, # and ? in a password as %2F, %3A, %40, %23 and %3F") from None
    return text


def _postgres_host(text: str) -> None:
    name, _, number = (text, "", "") if text.endswith("]") or ":" not in text else text.rpartition(":")
    if number:
        port(number)
    if name:
        host(name)


def postgres_password(address: str) -> str:
    """The password in an address that `postgres_address` has accepted; empty if it holds none."""
    scheme = _SCHEME.match(address)
    if scheme is None:
        named = _NAMED_PASSWORD.search(address)
        return (named["quoted"] or named["plain"] or "") if named else ""
    user_info, at, _ = re.split(r"[/?#]", address[scheme.end() :], maxsplit=1)[0].rpartition("@")
    parameters = parse_qs(address.partition("?")[2])
    return parameters.get("password", [unquote(user_info.partition(":")[2]) if at else ""])[-1]


def options(text: str) -> dict[str, str]:
    """`name=value;name="value"`: options, separated by semicolons. Raises ValueError.

    A value that contains a semicolon, or a space at its start or end, is in quotation marks, double or single. The same
    mark inside is written twice.
    """
    found: dict[str, str] = {}
    rest = text.strip()
    while rest:
        if rest.startswith(";"):
            rest = rest[1:].lstrip()
            continue
        number = len(found) + 1
        name, equals, rest = rest.partition("=")
        name = name.strip()
        if not equals or not OPTION_NAME.fullmatch(name):
            raise ValueError(f"has no name=value as option {number}. {_QUOTE}")
        if name in found:
            raise ValueError(f"has the name of option {number} twice. {_QUOTE}")
        found[name], rest = _value(rest.lstrip(), number)
    return found


_QUOTE = 'A value with a semicolon must be in quotation marks: name="value"'


def _value(rest: str, number: int) -> tuple[str, str]:
    """The value at the start of `rest`, and the text after it."""
    mark = rest[:1]
    if mark not in ('"', "'") or not mark:
        value, _, rest = rest.partition(";")
        return value.strip(), rest.lstrip()
    end = re.compile(f"{mark}((?:[^{mark}]|{mark}{mark})*){mark}").match(rest)
    if end is None:
        raise ValueError(f"has no closing quotation mark for the value of option {number}")
    after = rest[end.end() :].lstrip()
    if after and not after.startswith(";"):
        raise ValueError(f"has text after the quotation marks of option {number}: a mark inside is written twice")
    return end[1].replace(mark * 2, mark), after[1:].lstrip()
