"""Counts the counters and the REST stats again, from rows. Pure, and independent of the SQL triggers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import phonenumbers

from verdict.judge import JudgedRow

FAILURE_KEYS = ("attempts_exhausted", "ended_senders", "invalid_template_parameters")
SKIP_KEYS = (
    "opted_out", "campaign_cancelled", "same_person", "template_parameters_invalid", "frequency_capped", "excluded",
)  # fmt: skip
PRICE_CATEGORIES = (
    "authentication", "authentication-international", "marketing", "marketing_lite", "referral_conversion", "service",
    "utility", "other",
)  # fmt: skip
PRICE_CHARGES = ("billable", "free", "free_customer_service", "free_entry_point")
CODE_MAX = 9_999_999
"""A code of Meta has at most 7 digits."""


def recount(rows: Sequence[JudgedRow], opted_out: int = 0) -> dict[str, int]:
    """Every counter by `dimension/key`, without zeros. `opted_out`: the people who opted out after a message."""
    counts = Counter(f"status/{row.status}" for row in rows)
    counts["funnel/total"] = len(rows)
    counts["funnel/sent"] = sum(row.sent_at is not None for row in rows)
    counts["funnel/delivered"] = sum(row.delivered_at is not None for row in rows)
    counts["funnel/read"] = sum(row.read_at is not None for row in rows)
    counts["funnel/retrying"] = sum(row.status in ("failed", "unknown") and row.due_in_s is not None for row in rows)
    counts["funnel/due"] = sum(row.due_in_s is not None for row in rows)
    counts["funnel/opted_out"] = opted_out
    for row in rows:
        counts[f"prefix/{_prefix_key(row.number)}"] += 1
        if row.delivered_at is not None and row.price is not None:
            counts[f"price/{_price_key(row.price)}/{_prefix_key(row.number)}"] += 1
        if row.status == "failed":
            counts[f"failure/{_failure_key(row)}"] += 1
        if row.status == "skipped":
            counts[f"skip/{row.failure_reason if row.failure_reason in SKIP_KEYS else 'unknown'}"] += 1
        if row.due_in_s is not None:
            wait = _wait_key(row)
            counts[f"wait/{wait}"] += 1
            if row.window_country is not None and wait not in ("backoff", "held_back", "frequency_cap"):
                counts[f"window/{row.window_country}"] += 1
    return {name: n for name, n in counts.items() if n}


def _prefix_key(number: str) -> str:
    """The country code of a number, or the country of a user id. Islands with the code 1 have their area code too."""
    if number.startswith("user:"):
        found = re.match(r"user:([A-Z]{2})\.", number)
        return "unknown" if found is None else found[1]
    if re.match("[1-9][0-9]{3}", number) is None:
        return "unknown"
    if number[0] == "1":
        try:
            region = phonenumbers.region_code_for_number(phonenumbers.parse(f"+{number}"))
        except phonenumbers.NumberParseException:
            region = None
        return "1" if region in ("US", "CA", None) else number[:4]
    if number[0] == "7":
        return number[:2] if number[1] in "67" else "7"
    return number[:2] if int(number[:2]) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE else number[:3]


def _price_key(price: str) -> str:
    """Category and charge, without the attempt."""
    key = price[3:]
    return key if re.fullmatch(f"({'|'.join(PRICE_CATEGORIES)})/({'|'.join(PRICE_CHARGES)})", key) else "other/billable"


def _wait_key(row: JudgedRow) -> str:
    match row.status:
        case "pending":
            return "planned"
        case "queued":
            if not row.is_deferred:
                return "expired"
            return "frequency_cap" if row.is_capped else "deferred"
        case "unknown":
            return "requested_unknown"
        case _ if row.is_requested:
            return "requested"
        case _:
            return "held_back" if row.failure_class == "held_back" else "backoff"


def _failure_key(row: JudgedRow) -> str:
    if row.failure_code is not None:
        return str(row.failure_code) if 0 <= row.failure_code <= CODE_MAX else "unknown"
    return row.failure_reason if row.failure_reason in FAILURE_KEYS else "unknown"


def reported(rows: Sequence[JudgedRow]) -> dict[str, Any]:
    """The fields of the REST stats."""
    total, by_status = len(rows), Counter(row.status for row in rows)
    sent = sum(row.sent_at is not None for row in rows)
    delivered = sum(row.delivered_at is not None for row in rows)
    read = sum(row.read_at is not None for row in rows)
    cancelled = sum(row.status == "skipped" and row.failure_reason == "campaign_cancelled" for row in rows)
    handled = total - by_status["pending"] - by_status["queued"] - cancelled
    return {
        "total_target": total,
        "sent": sent,
        "delivered": delivered,
        "read": read,
        **{word: by_status[word] for word in ("failed", "pending", "queued", "skipped", "unknown")},
        "retrying": sum(row.status in ("failed", "unknown") and row.due_in_s is not None for row in rows),
        "handled": handled,
        "progress_percentage": percentage(handled, total),
        "delivery_rate": percentage(delivered, sent),
        "read_rate": percentage(read, sent),
    }


def percentage(part: int, whole: int) -> float:
    """With one decimal, a half rounded up; 0.0 for an empty denominator."""
    return float((Decimal(100 * part) / whole).quantize(Decimal("0.1"), ROUND_HALF_UP)) if whole else 0.0
