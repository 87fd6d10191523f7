"""What the simulator is told: one frozen model, whose defaults are tidy (everybody gets and reads the message).

All times are seconds and are divided by `time_scale`; shares are between 0 and 1. Secrets are masked wherever the
model is shown. This module decides nothing about a message; see `plan`.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from simulator.cloud_errors import CLOUD_ERRORS

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Seconds = Annotated[float, Field(ge=0.0)]
StatusWord = Literal["sent", "delivered", "read", "played", "failed"]
PlannedOutcome = Literal[
    "accept",  # 200, statuses follow
    "held",  # 200 with held_for_quality_assessment, statuses follow later, or failed 132015
    "no_wamid",  # 200 without a message id
    "fail",  # 200, then a failed status with the rule's code
    "reject",  # an error answer with the rule's code
    "hang",  # the answer never comes
    "cut_before",  # the connection is cut, nothing was accepted
    "cut_after",  # the connection is cut, the message was accepted
    "cut_in_answer",  # accepted, half of the answer is written, then the connection is cut
    "bad_gateway",  # a 502 with a page of HTML, as from a proxy; mostly accepted
]


class Frozen(BaseModel):
    """Immutable, and strict about names: a misspelled knob is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Spread(Frozen):
    """A delay: log-normal by its median and its 99th percentile; both equal = always the same."""

    median_s: Seconds
    p99_s: Seconds


class AnswerConfig(Frozen):
    """How requests are answered."""

    latency: Spread = Spread(median_s=0.05, p99_s=0.25)
    errors: dict[int, Share] = {}
    throttle_share: Share = 0.0
    hang_share: Share = 0.0
    cut_before_share: Share = 0.0
    cut_after_share: Share = 0.0
    cut_in_answer_share: Share = 0.0
    bad_gateway_share: Share = 0.0
    held_share: Share = 0.0
    no_wamid_share: Share = 0.0
    lost_share: Share = 0.0
    """Of the requests without an answer (hung, bad gateway, the client went away): received, but never processed."""


class StatusConfig(Frozen):
    """Which statuses follow an accepted message, and when (seconds after the one before)."""

    sent: Spread = Spread(median_s=0.3, p99_s=1.0)
    delivered: Spread = Spread(median_s=1.0, p99_s=5.0)
    read: Spread = Spread(median_s=3.0, p99_s=20.0)
    held: Spread = Spread(median_s=20.0, p99_s=60.0)
    """How long a message held for quality assessment waits before it is released or dropped."""
    overtaken: Spread = Spread(median_s=0.4, p99_s=0.8)
    """How much longer the answer takes when a status overtakes it."""
    late: Spread = Spread(median_s=1.0, p99_s=4.0)
    """How late statuses out of order and duplicates come."""
    delivered_rate: Share = 1.0
    read_rate: Share = 1.0
    """Of the delivered messages."""
    read_without_delivered_share: Share = 0.0
    errors: dict[int, Share] = {}
    failed_alone_share: Share = 0.5
    """Of the failed messages: `failed` comes without a `sent` before it."""
    failed_and_delivered_share: Share = 0.0
    """Of the failed messages: `delivered` comes as well, before or after."""
    held_dropped_share: Share = 0.0
    duplicate_share: Share = 0.0
    disorder_share: Share = 0.0
    overtaking_share: Share = 0.0
    without_callback_share: Share = 0.0
    """Of single statuses; the last of a message always has its callback data, so that an unanswered one is settled."""
    category: str = "marketing"
    contacts: bool = True
    user_ids: bool = True
    version: str | None = None
    """The webhook version, e.g. v25.0; None = that of the request's path. Below v24.0 each status has a
    conversation."""


class WebhookConfig(Frozen):
    """How webhooks are delivered."""

    batch_statuses_max: Annotated[int, Field(ge=1, le=1000)] = 100
    """1 = each status in a POST of its own."""
    batch_wait: Seconds = 0.02
    single_share: Share = 0.0
    """Of the POSTs: a single status although more are due."""
    several_entries_share: Share = 0.0
    concurrency: Annotated[int, Field(ge=1)] = 16
    timeout_s: Seconds = 20.0
    """Not scaled."""
    retry_first: Seconds = 1.0
    """After a first retry at once; doubles each time up to `retry_max`."""
    retry_max: Seconds = 3600.0
    retry_window: Seconds = 7 * 86400.0
    delay: Spread = Spread(median_s=0.0, p99_s=0.0)


class Rule(Frozen):
    """Forces what becomes of messages to some numbers, to numbers with an ending, of a template, or all.

    A rule by number wins over one by ending, a longer ending over a shorter one, both over one for all.
    """

    numbers: frozenset[str] = frozenset()
    suffix: str | None = None
    template: str | None = None
    posts: Annotated[int, Field(ge=1)] | None = None
    """Only the first so many posts of the same message (or to the same number, see `draws_by`)."""
    outcome: PlannedOutcome = "accept"
    code: int | None = None
    http_status: int | None = None
    details: str | None = None
    latency_s: Seconds | None = None
    statuses: tuple[StatusWord, ...] | None = None
    """Exactly these statuses, said in this order, whatever order they happened in; () = none."""
    with_callback: bool | None = None
    copies: Annotated[int, Field(ge=1)] = 1
    """How often each status is said."""

    @model_validator(mode="after")
    def names_its_code(self) -> Self:
        """`reject` and `fail` are nothing without a code."""
        if self.outcome in ("reject", "fail") and self.code is None:
            raise ValueError(f"a rule with outcome {self.outcome!r} needs a code")
        return self


class SimulatorConfig(Frozen):
    """Everything the simulator is told."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8002
    seed: int = 1
    draws_by: Literal["callback_data", "to"] = "callback_data"
    """What names a message in its draws; `to` repeats a run exactly even if the sender makes new ids each time."""
    wamid_salt: str | None = None
    """Names this run in its message ids; None = a new one at each start, so that no id is ever said twice."""
    time_scale: Annotated[float, Field(gt=0.0)] = 1.0
    webhook_url: str | None = None
    app_secret: SecretStr = SecretStr("simulator-app-secret")
    access_token: SecretStr | None = None
    """None = any bearer token will do; none at all is refused in either case."""
    phone_number_ids: frozenset[str] | None = None
    waba_id: str = "102290129340398"
    display_phone_number: str = "15550783881"
    mps: Annotated[float, Field(gt=0.0)] | None = None
    """Messages a second per number, not scaled; above it the answer is 130429."""
    answers: AnswerConfig = AnswerConfig()
    statuses: StatusConfig = StatusConfig()
    webhooks: WebhookConfig = WebhookConfig()
    rules: tuple[Rule, ...] = ()


def every_code_by_number() -> tuple[Rule, ...]:
    """A rule for each known code: numbers that end with its seven digits (0131026) get it, in the way Meta says it."""
    return tuple(
        Rule(suffix=f"{error.code:07d}", outcome="fail" if error.way == "async" else "reject", code=error.code)
        for error in CLOUD_ERRORS.values()
    )
