"""The configuration of the simulator: one frozen model. By default everyone receives and reads the message.

All times are seconds and are divided by `time_scale`. Shares are between 0 and 1. Secrets are masked wherever the model
is shown. `plan` decides about messages.
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
    "fail",  # 200, then a failed status with the code of the rule
    "reject",  # an error answer with the code of the rule
    "hang",  # no answer is sent
    "cut_before",  # the connection is cut, nothing was accepted
    "cut_after",  # the connection is cut, the message was accepted
    "cut_in_answer",  # accepted, half of the answer is written, then the connection is cut
    "bad_gateway",  # a 502 with a page of HTML, as from a proxy; mostly accepted
]


class Frozen(BaseModel):
    """Immutable and strict: a misspelled setting is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Spread(Frozen):
    """A delay: log-normal with this median and 99th percentile. Equal values give a constant delay."""

    median_s: Seconds
    p99_s: Seconds


class AnswerConfig(Frozen):
    """The answers to requests."""

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
    """Share of requests without an answer (hung, bad gateway, disconnected client) that are never processed."""


class StatusConfig(Frozen):
    """The statuses of an accepted message, and their delays (seconds after the previous one)."""

    sent: Spread = Spread(median_s=0.3, p99_s=1.0)
    delivered: Spread = Spread(median_s=1.0, p99_s=5.0)
    read: Spread = Spread(median_s=3.0, p99_s=20.0)
    held: Spread = Spread(median_s=20.0, p99_s=60.0)
    """Delay until a message held for quality assessment is released or dropped."""
    overtaken: Spread = Spread(median_s=0.4, p99_s=0.8)
    """Additional delay of an answer that a status overtakes."""
    late: Spread = Spread(median_s=1.0, p99_s=4.0)
    """Delay of statuses out of order and of duplicates."""
    delivered_rate: Share = 1.0
    read_rate: Share = 1.0
    """Share of the delivered messages that are read."""
    read_without_delivered_share: Share = 0.0
    errors: dict[int, Share] = {}
    failed_alone_share: Share = 0.5
    """Share of the failed messages whose `failed` has no `sent` before it."""
    failed_and_delivered_share: Share = 0.0
    """Share of the failed messages that also get `delivered`, before or after."""
    held_dropped_share: Share = 0.0
    duplicate_share: Share = 0.0
    disorder_share: Share = 0.0
    overtaking_share: Share = 0.0
    without_callback_share: Share = 0.0
    """Share of single statuses without callback data. The last status of a message always has it, so that an
    attempt without an answer can be settled."""
    category: str = "marketing"
    contacts: bool = True
    user_ids: bool = True
    version: str | None = None
    """The webhook version, e.g. v25.0; None: the version in the path of the request. Below v24.0 each status has
    a conversation."""


class WebhookConfig(Frozen):
    """The delivery of webhooks."""

    batch_statuses_max: Annotated[int, Field(ge=1, le=1000)] = 100
    """1 sends each status in a separate POST."""
    batch_wait: Seconds = 0.02
    single_share: Share = 0.0
    """Share of POSTs with a single status although more are due."""
    several_entries_share: Share = 0.0
    concurrency: Annotated[int, Field(ge=1)] = 16
    timeout_s: Seconds = 20.0
    """Seconds, not scaled."""
    retry_first: Seconds = 1.0
    """Delay after the first, immediate retry. It doubles up to `retry_max`."""
    retry_max: Seconds = 3600.0
    retry_window: Seconds = 7 * 86400.0
    delay: Spread = Spread(median_s=0.0, p99_s=0.0)


class Rule(Frozen):
    """Forces the outcome of messages: to some numbers, to numbers with an ending, of a template, or of all.

    A rule by number has priority over one by ending, a longer ending over a shorter one, and both over one for all.
    """

    numbers: frozenset[str] = frozenset()
    suffix: str | None = None
    template: str | None = None
    posts: Annotated[int, Field(ge=1)] | None = None
    """The rule applies to the first so many posts of the same message (or number, see `draws_by`)."""
    outcome: PlannedOutcome = "accept"
    code: int | None = None
    http_status: int | None = None
    details: str | None = None
    latency_s: Seconds | None = None
    statuses: tuple[StatusWord, ...] | None = None
    """Exactly these statuses, sent in this order regardless of their times; () sends none."""
    with_callback: bool | None = None
    copies: Annotated[int, Field(ge=1)] = 1
    """How often each status is sent."""

    @model_validator(mode="after")
    def names_its_code(self) -> Self:
        """Refuse `reject` and `fail` without a code."""
        if self.outcome in ("reject", "fail") and self.code is None:
            raise ValueError(f"a rule with outcome {self.outcome!r} needs a code")
        return self


class SimulatorConfig(Frozen):
    """All settings of the simulator."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8002
    seed: int = 1
    draws_by: Literal["callback_data", "to"] = "callback_data"
    """The key of a message in its draws. `to` repeats a run exactly, even if the sender creates new ids each time."""
    wamid_salt: str | None = None
    """Salt of the message ids. None takes a new one at each start, so that no id is repeated."""
    time_scale: Annotated[float, Field(gt=0.0)] = 1.0
    webhook_url: str | None = None
    app_secret: SecretStr = SecretStr("simulator-app-secret")
    access_token: SecretStr | None = None
    """None accepts any bearer token. A request without a token is always refused."""
    phone_number_ids: frozenset[str] | None = None
    waba_id: str = "102290129340398"
    display_phone_number: str = "15550783881"
    mps: Annotated[float, Field(gt=0.0)] | None = None
    """Messages per second and number, not scaled. Above it the answer is 130429."""
    answers: AnswerConfig = AnswerConfig()
    statuses: StatusConfig = StatusConfig()
    webhooks: WebhookConfig = WebhookConfig()
    rules: tuple[Rule, ...] = ()


def every_code_by_number() -> tuple[Rule, ...]:
    """A rule for each known code: numbers that end with its seven digits (0131026) get it, in its channel."""
    return tuple(
        Rule(suffix=f"{error.code:07d}", outcome="fail" if error.way == "async" else "reject", code=error.code)
        for error in CLOUD_ERRORS.values()
    )
