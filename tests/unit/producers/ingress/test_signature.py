"""Only Meta may speak: vectors, rotation, the escaped form, and closing on every doubt."""

import pytest

from producers.ingress.signature import SignatureCheck, check, escape_unicode, sign

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


def test_the_escaped_form_does_not_open_the_other_way() -> None:
    assert check([SECRET], OF_UTF8, ESCAPED) is SignatureCheck.MISMATCH


def test_characters_beyond_the_first_plane_are_escaped_as_two_units() -> None:
    assert escape_unicode("é😀".encode()) == rb"\u00e9\ud83d\ude00"


def test_every_secret_of_a_rotation_counts() -> None:
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


def test_a_changed_body_and_bytes_that_are_no_text_do_not_match() -> None:
    assert check([SECRET], sign(SECRET, b"{}"), b"{ }") is SignatureCheck.MISMATCH
    assert check([SECRET], sign(SECRET, b"{}"), b"\xff") is SignatureCheck.MISMATCH
