"""The media of the account."""

from __future__ import annotations

import pytest

from simulator.account import media
from simulator.account.media import MediaStore
from simulator.checks.refusals import Refused


@pytest.mark.parametrize(
    ("mime_type", "content"),
    [("application/x-tar", b"x"), ("image/jpeg", b""), ("image/webp", b"x" * (media.MEGABYTE // 2 + 1)), ("", b"x")],
)
def test_a_type_or_a_size_that_the_api_does_not_take_is_refused(mime_type: str, content: bytes) -> None:
    with pytest.raises(Refused) as refused:
        MediaStore().add("1", mime_type, content)
    assert refused.value.refusal.code == 100


@pytest.mark.parametrize(
    ("mime_type", "kind", "fits"),
    [
        ("image/jpeg", "image", True),
        ("image/webp", "image", False),
        ("image/webp", "sticker", True),
        ("audio/ogg; codecs=opus", "audio", True),
        ("audio/ogg", "video", False),
        ("text/plain", "document", True),
        ("text/plain", "image", False),
    ],
)
def test_a_medium_fits_messages_of_its_kind(mime_type: str, kind: str, fits: bool) -> None:
    store = MediaStore()
    assert store.fits(kind, store.add("1", mime_type, b"x").id) is fits


def test_a_medium_is_found_until_it_is_removed() -> None:
    store = MediaStore()
    medium = store.add("1", "audio/ogg; codecs=opus", b"x")
    assert (medium.id in store, len(store), list(store)) == (True, 1, [medium.id])
    assert store.get(medium.id) == medium
    store.remove(medium.id)
    assert (medium.id in store, store.get(medium.id)) == (False, None)


def test_the_oldest_media_are_forgotten_above_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "STORED_MAX", 10)
    store = MediaStore()
    first, second, third = (store.add("1", "text/plain", b"x" * 4) for _ in range(3))
    assert list(store) == [second.id, third.id]
    assert first.id not in store
