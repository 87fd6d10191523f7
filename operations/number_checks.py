"""Checks each sending number of the settings at the Cloud API: one GET with the token of the number. It sends nothing.

Source: Meta's page "Throughput" (levels: STANDARD is 80 messages a second, HIGH 1,000).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from operations.replication import Judgement
from runtime.cloud_answers import CloudFault
from runtime.number_reader import NumberUnreadable, ReadNumber, read_number
from runtime.settings import Settings

FASTEST: Mapping[str, int] = MappingProxyType({"STANDARD": 80, "HIGH": 1000})
"""Messages per second of each level of throughput."""
NOT_SHOWN = "not shown"
REMEDIES: Mapping[CloudFault, Judgement] = MappingProxyType({
    CloudFault.UNREACHABLE: Judgement("warning", "", "check CAMPAIGNS_WHATSAPP_API_URL and the network"),
    CloudFault.FOREIGN: Judgement("wrong", "", "check CAMPAIGNS_WHATSAPP_API_URL"),
    CloudFault.REFUSED: Judgement("wrong", "", "check the id of the number, and its access token"),
})  # fmt: skip
"""Why a number cannot be read, to how bad that is and the next step."""


def check_numbers(settings: Settings) -> Iterator[tuple[str, Judgement]]:
    """Check every number of the settings that has a token. A number that fails keeps no other from its check."""
    paces = settings.mps_by_number()
    for number in sorted(settings.known_numbers):
        try:
            found = asyncio.run(read_number(settings, number))
        except NumberUnreadable as why:
            if why.fault is not None:
                yield number, judge_refusal(why.fault, str(why))
        else:
            yield number, judge_number(found, paces.get(number, settings.whatsapp_mps))


def judge_refusal(fault: CloudFault, reason: str) -> Judgement:
    """What it means that a number cannot be read. `reason`: a sentence."""
    remedy = REMEDIES[fault]
    return Judgement(remedy.state, reason[:1].lower() + reason[1:].removesuffix("."), remedy.next_step)


def judge_number(found: ReadNumber, mps: int) -> Judgement:
    """What Meta shows of a number means this for its pace. `mps`: the messages per second of the settings."""
    level = found.throughput or NOT_SHOWN
    known = f"quality {found.quality or NOT_SHOWN}, throughput {level}, {mps} messages a second"
    if mps > FASTEST.get(level, mps):
        return Judgement("warning", known, f"lower its mps to {FASTEST[level]}, or Meta throttles it")
    return Judgement("ok", known)
