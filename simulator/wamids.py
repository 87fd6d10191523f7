"""Message ids and user ids in Meta's format. A wamid contains the phone number in base64, as at Meta."""

from __future__ import annotations

from binascii import b2a_base64
from functools import lru_cache
from hashlib import blake2b

from simulator.numbers import country_of

INTRODUCTION = b"\x1c\x18"
FOR_ADDRESSES = bytes.maketrans(b"+/", b"-_")
SEPARATOR = b"\x15\x02\x00\x11\x18\x12"


def wamid_of(number: str, salt: str, entry_id: int) -> str:
    """The id of an accepted message: the number and 72 bits of a digest. It is unique for a salt."""
    unique = blake2b(f"{salt}|{entry_id}|{number}".encode(), digest_size=9).hexdigest().upper()
    digits = number.encode()[:255]
    content = b"%b%c%b%b%b\x00" % (INTRODUCTION, len(digits), digits, SEPARATOR, unique.encode())
    return "wamid." + b2a_base64(content, newline=False).decode()


@lru_cache(maxsize=16_384)
def user_id_of(number: str) -> str:
    """The business-scoped user id of a number: a country and digits. A number always has the same id."""
    return f"{country_of(number)}.{int.from_bytes(blake2b(number.encode(), digest_size=7).digest(), 'big')}"


def trace_id_of(salt: str, entry_id: int) -> str:
    """The fbtrace_id of an answer. Meta's support uses it to find a request."""
    unique = blake2b(f"trace|{salt}|{entry_id}".encode(), digest_size=16).digest()
    return "A" + b2a_base64(unique, newline=False)[:22].translate(FOR_ADDRESSES).decode()
