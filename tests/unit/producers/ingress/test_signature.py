"""Only bodies signed by Meta are accepted: published vectors, rotation of secrets, the escaped form."""

import pytest

from producers.ingress.signature import PIECE_BYTES, SignatureCheck, check, escape_unicode, sign

SECRET = b"app_secret"
ESCAPED = rb'{"t":"\u00e4\u00f6\u00e5"}'
UTF8 = '{"t":"äöå"}'.encode()
OF_ESCAPED = b"sha256=babc2e7d2e280433f172439f1039aa1304bb810c040520c21dfd5ed1a9729b09"
OF_UTF8 = b"sha256=fc56adde7d77fbd2814acc7a85e09b08b6ad94a3151e91edb4bcee54bc9bd8db"


@pytest.mark.parametrize(("body", "header"), [(ESCAPED, OF_ESCAPED), (UTF8, OF_UTF8)])
def test_known_vectors(body: bytes, header: bytes) -> None:
    assert sign(SECRET, body) == header
    assert check([SECRET], header, body) is SignatureCheck.GENUINE


def test_bytes_signed_in_their_escaped_form_are_genuine() -> None:
    assert check([SECRET], OF_ESCAPED, UTF8) is SignatureCheck.GENUINE


def test_a_signature_of_the_raw_form_does_not_match_the_escaped_bytes() -> None:
    assert check([SECRET], OF_UTF8, ESCAPED) is SignatureCheck.MISMATCH


def escaped(body: bytes) -> bytes:
    return b"".join(escape_unicode(body))


def test_characters_beyond_the_first_plane_are_escaped_as_two_units() -> None:
    assert escaped("é😀".encode()) == rb"\u00e9\ud83d\ude00"


EVERY_ASCII = bytes(range(128)).decode()


@pytest.mark.parametrize("text", [EVERY_ASCII + "é", 'é"\\n\\"\n\x7f', EVERY_ASCII.join("é😀中") * 50])
def test_only_characters_beyond_ascii_are_changed(text: str) -> None:
    units = text.encode("utf-16-be")
    expected = "".join(
        chr(unit) if unit < 128 else f"\\u{unit:04x}"
        for unit in (int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2))
    )
    assert escaped(text.encode()) == expected.encode()


@pytest.mark.parametrize("unit", ["é", "中", "😀", '"é', EVERY_ASCII + "é", "a"])
def test_a_large_body_is_escaped_in_small_pieces_and_each_byte_once(unit: str) -> None:
    """The work is linear: every byte belongs to one piece, and no piece is encoded more than once per halving."""
    body = (unit * (1_000_000 // len(unit.encode()))).encode()
    pieces = list(escape_unicode(body))
    assert max(map(len, pieces)) <= 3 * PIECE_BYTES
    assert b"".join(pieces).decode("ascii").count("\\u") >= body.decode().count("é")
    assert len(pieces) <= len(body) / 32


def test_every_secret_of_a_rotation_is_accepted() -> None:
    assert check([b"new", b"old"], sign(b"old", b"{}"), b"{}") is SignatureCheck.GENUINE
    assert check([b"new", b"old"], sign(b"new", b"{}"), b"{}") is SignatureCheck.GENUINE
    assert check([b"new"], sign(b"old", b"{}"), b"{}") is SignatureCheck.MISMATCH


def test_without_a_secret_nothing_is_genuine() -> None:
    assert check([], sign(b"", b"{}"), b"{}") is SignatureCheck.MISMATCH


def test_hexadecimal_in_capitals_is_the_same_signature() -> None:
    header = sign(SECRET, b"{}")
    assert check([SECRET], b"sha256=" + header[7:].upper(), b"{}") is SignatureCheck.GENUINE


@pytest.mark.parametrize("header", [None, b"", b"sha256=", b"sha1=" + b"0" * 64, b"sha256=" + b"0" * 63])
def test_a_malformed_signature_counts_as_missing(header: bytes | None) -> None:
    assert check([SECRET], header, b"{}") is SignatureCheck.MISSING


@pytest.mark.parametrize("body", [b"\xff", b"\x80" * 70_000, "é".encode() * 40_000 + b"\xc3", b"\xc3" * 70_000])
def test_bytes_that_are_not_utf8_have_no_escaped_form(body: bytes) -> None:
    assert check([SECRET], sign(b"other", body), body) is SignatureCheck.MISMATCH
    assert check([SECRET], sign(SECRET, body), body) is SignatureCheck.GENUINE


def test_a_changed_body_and_binary_bytes_do_not_match() -> None:
    assert check([SECRET], sign(SECRET, b"{}"), b"{ }") is SignatureCheck.MISMATCH
    assert check([SECRET], sign(SECRET, b"{}"), b"\xff") is SignatureCheck.MISMATCH
