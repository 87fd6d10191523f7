"""The ledger keeps a million entries, so what it keeps costs the garbage collector nothing."""

import gc

from simulator.ledger import Ledger, SentStatus
from simulator.sends import Send


def test_the_garbage_collector_skips_what_the_ledger_keeps() -> None:
    entry = Ledger().open(1.0, "v25.0", "1", "messages", Send(to="16045551234"), "16045551234", "marketing")
    status = SentStatus(entry, "sent", 1, None, with_callback=True, times_planned=1)
    assert [gc.is_tracked(kept) for kept in (entry, entry.send, status)] == [False] * 3
