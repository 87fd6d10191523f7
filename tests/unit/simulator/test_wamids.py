"""Message ids look like Meta's and are unique."""

from __future__ import annotations

import base64

from simulator.wamids import wamid_of


def test_a_wamid_has_metas_format_and_contains_the_number() -> None:
    wamid = wamid_of("16505551234", "salt", 1)
    assert wamid.startswith("wamid.HBgL")
    assert b"16505551234" in base64.b64decode(wamid.removeprefix("wamid."))
    assert len({wamid_of("16505551234", salt, n) for salt in "ab" for n in range(100)}) == 200
