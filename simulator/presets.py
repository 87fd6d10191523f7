"""The presets: `tidy` without any fault, and `realistic` with a few faults of most kinds."""

from __future__ import annotations

from collections.abc import Callable

from simulator.config import AnswerConfig, Delay, SimulatorConfig, StatusConfig, WebhookConfig


def tidy() -> SimulatorConfig:
    """Every message is delivered and read. Each status arrives once and in order."""
    return SimulatorConfig()


def realistic() -> SimulatorConfig:
    """Disorder and failures of many kinds, in shares that are possible on a bad day of the real API.

    Codes that stop a whole template, number or account need a rule. No request is lost without a trace
    (`cut_before_share`, `lost_share`), because no status would ever resolve it. Draws are by number, so that a seed
    repeats a demo although the sender creates new ids each time.
    """
    return SimulatorConfig(
        draws_by="to",
        other_wa_id_share=0.3,
        answers=AnswerConfig(
            latency=Delay(median_s=0.08, p99_s=0.6),
            errors={
                131026: 0.01,
                131000: 0.005,
                131016: 0.004,
                131056: 0.002,
                2: 0.003,
                131009: 0.002,
                132005: 0.001,
                130403: 0.001,
            },
            throttle_share=0.0005,
            cut_after_share=0.001,
            cut_in_answer_share=0.0005,
            bad_gateway_share=0.001,
            held_share=0.01,
            no_wamid_share=0.002,
        ),
        statuses=StatusConfig(
            delivered_rate=0.96,
            read_rate=0.7,
            read_without_delivered_share=0.05,
            errors={
                131026: 0.02,
                131049: 0.015,
                131050: 0.005,
                130472: 0.005,
                131047: 0.002,
                131053: 0.003,
                131000: 0.005,
            },
            failed_and_delivered_share=0.05,
            duplicate_share=0.05,
            disorder_share=0.1,
            overtaking_share=0.03,
            without_callback_share=0.1,
            held=Delay(median_s=3.0, p99_s=10.0),
        ),
        webhooks=WebhookConfig(single_share=0.2, several_entries_share=0.1),
    )


PRESETS: dict[str, Callable[[], SimulatorConfig]] = {"tidy": tidy, "realistic": realistic}
