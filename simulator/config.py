"""The configuration of the simulator. By default every message is delivered and read.

All times are seconds and are divided by `time_scale`. Shares are between 0 and 1. The output of a model masks the
secrets. `simulator/plan.py` draws the fate of each message from these settings.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from simulator.cloud_errors import CLOUD_ERRORS

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Seconds = Annotated[float, Field(ge=0.0)]
TemplateCategory = Literal["MARKETING", "UTILITY", "AUTHENTICATION"]
TemplateStatus = Literal[
    "APPROVED",
    "ARCHIVED",
    "DELETED",
    "DISABLED",
    "IN_APPEAL",
    "LIMIT_EXCEEDED",
    "LOCKED",
    "PAUSED",
    "PENDING",
    "PENDING_DELETION",
    "REJECTED",
]
StatusName = Literal["sent", "delivered", "read", "played", "failed"]
PlannedOutcome = Literal[
    "accept",  # 200, statuses follow
    "held",  # 200 with held_for_quality_assessment, then the statuses after a delay, or failed 132015
    "no_wamid",  # 200 without a message id
    "fail",  # 200, then a failed status with the code of the rule
    "reject",  # an error answer with the code of the rule
    "hang",  # no answer is sent
    "cut_before",  # the connection is cut, nothing was accepted
    "cut_after",  # the connection is cut, the message was accepted
    "cut_in_answer",  # accepted, half of the answer is written, then the connection is cut
    "bad_gateway",  # a 502 with a page of HTML, as from a proxy; accepted unless `lost_share` applies
    "foreign",  # an answer of a server that is not the Cloud API (`http_status`, `content_type`, `body`); not accepted
]


VERSIONS = frozenset({"v21.0", "v22.0", "v23.0", "v24.0", "v25.0", "v26.0"})
"""The versions that the Graph API serves. v20.0 ended on 24 September 2026 (Meta's page "Graph API changelog")."""


class StrictModel(BaseModel):
    """An immutable model. An unknown (misspelled) setting is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Delay(StrictModel):
    """A log-normal delay with this median and 99th percentile. Equal values give a constant delay."""

    median_s: Seconds
    p99_s: Seconds


class AnswerConfig(StrictModel):
    """The answers to requests."""

    latency: Delay = Delay(median_s=0.05, p99_s=0.25)
    errors: dict[int, Probability] = {}
    throttle_share: Probability = 0.0
    hang_share: Probability = 0.0
    cut_before_share: Probability = 0.0
    cut_after_share: Probability = 0.0
    cut_in_answer_share: Probability = 0.0
    bad_gateway_share: Probability = 0.0
    held_share: Probability = 0.0
    no_wamid_share: Probability = 0.0
    lost_share: Probability = 0.0
    """Share of the requests without an answer (hung, bad gateway, disconnected client) that are never processed."""


class StatusConfig(StrictModel):
    """The statuses of an accepted message, and their delays (seconds after the previous one)."""

    sent: Delay = Delay(median_s=0.3, p99_s=1.0)
    delivered: Delay = Delay(median_s=1.0, p99_s=5.0)
    read: Delay = Delay(median_s=3.0, p99_s=20.0)
    held: Delay = Delay(median_s=20.0, p99_s=60.0)
    """Delay until a message that is held for quality assessment is released or dropped."""
    overtaken: Delay = Delay(median_s=0.4, p99_s=0.8)
    """Additional delay of an answer that comes after the first statuses."""
    late: Delay = Delay(median_s=1.0, p99_s=4.0)
    """Additional delay of duplicates. Its median scales the delay of statuses that are out of order."""
    delivered_rate: Probability = 1.0
    read_rate: Probability = 1.0
    """Share of the delivered messages that are read."""
    read_without_delivered_share: Probability = 0.0
    errors: dict[int, Probability] = {}
    failed_alone_share: Probability = 0.5
    """Share of the failed messages without a `sent` before the `failed`."""
    failed_and_delivered_share: Probability = 0.0
    """Share of the failed messages that also get `delivered`, before or after."""
    held_dropped_share: Probability = 0.0
    duplicate_share: Probability = 0.0
    disorder_share: Probability = 0.0
    overtaking_share: Probability = 0.0
    without_callback_share: Probability = 0.0
    """Share of the statuses without callback data. The last status of a message always has it, so that a status can
    resolve an attempt without an answer."""
    category: str = "marketing"
    contacts: bool = True
    contacts_of_failed: bool = True
    """Whether a webhook with a failed status has a contact: its WhatsApp id alone. Meta's page "Business-scoped
    user IDs" says that it has none. The payloads that users of client libraries report have one."""
    user_ids: bool = True
    version: str | None = None
    """The version of the webhooks, e.g. v25.0. None uses the version in the path of the request. Below v24.0 each
    status has a conversation."""


class WebhookConfig(StrictModel):
    """The delivery of webhooks."""

    batch_statuses_max: Annotated[int, Field(ge=1, le=1000)] = 100
    """The value 1 sends each status in a separate POST."""
    batch_wait: Seconds = 0.02
    """Time that a due status waits for others of the same batch."""
    single_share: Probability = 0.0
    """Share of the POSTs with a single status although more statuses are due."""
    several_entries_share: Probability = 0.0
    """Share of the POSTs whose statuses are divided over two entries."""
    concurrency: Annotated[int, Field(ge=1)] = 16
    timeout_s: Seconds = 20.0
    """This time is not divided by `time_scale`."""
    retry_first: Seconds = 1.0
    """Delay after the first, immediate retry. It doubles up to `retry_max`."""
    retry_max: Seconds = 3600.0
    retry_window: Seconds = 7 * 86400.0
    delay: Delay = Delay(median_s=0.0, p99_s=0.0)


class Rule(StrictModel):
    """Forces the outcome of messages to some numbers, to numbers with a suffix, with a template, from some of the
    business's numbers, or of all messages.

    A rule by number has priority over a rule by suffix, and a longer suffix over a shorter one. Other rules come last.
    Among equally exact rules, the latest one applies.
    """

    name: str | None = None
    """A control request can remove the rules with this name."""
    numbers: frozenset[str] = frozenset()
    suffix: str | None = None
    template: str | None = None
    phone_number_ids: frozenset[str] = frozenset()
    """The ids of sending numbers. Empty: the rule applies to all."""
    posts: Annotated[int, Field(ge=1)] | None = None
    """The rule applies to this number of first posts of a message (or of a number, see `draws_by`). None: to all."""
    outcome: PlannedOutcome = "accept"
    code: int | None = None
    http_status: Annotated[int, Field(ge=200, le=599)] | None = None
    """The status of a `reject` or `foreign` answer. None: the status of the code, or 200."""
    content_type: str = "application/json"
    """The media type of a `foreign` answer."""
    body: str = '{"status":"ok"}'
    """The body of a `foreign` answer."""
    details: str | None = None
    latency_s: Seconds | None = None
    statuses: tuple[StatusName, ...] | None = None
    """Exactly these statuses, sent in this order, whatever their timestamps are. An empty tuple sends none."""
    with_callback: bool | None = None
    copies: Annotated[int, Field(ge=1)] = 1
    """How often each status is sent."""

    @model_validator(mode="after")
    def _require_code(self) -> Self:
        if self.outcome in ("reject", "fail") and self.code is None:
            raise ValueError(f"a rule with outcome {self.outcome!r} needs a code")
        return self


class TemplateConfig(StrictModel):
    """One template of the account, in one language. `components` has the form in which templates are created."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,512}$")]
    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}(_[A-Z]{2})?$")] = "en_US"
    category: TemplateCategory = "MARKETING"
    status: TemplateStatus = "APPROVED"
    parameter_format: Literal["POSITIONAL", "NAMED"] = "POSITIONAL"
    components: tuple[dict[str, Any], ...] = ()
    takes_any_parameters: bool = False
    """Whether sends with any parameters fit, as if the components were not known."""
    id: str | None = None
    """None takes the next free id."""


HELLO_WORLD = TemplateConfig(
    name="hello_world",
    category="UTILITY",
    components=(
        {"type": "HEADER", "format": "TEXT", "text": "Hello World"},
        {"type": "BODY", "text": "Welcome and congratulations!! This message demonstrates your ability to send."},
        {"type": "FOOTER", "text": "WhatsApp Business Platform sample message"},
    ),
)
"""The template that Meta adds to each new account."""


class SimulatorConfig(StrictModel):
    """All settings of the simulator."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8002
    seed: int = 1
    draws_by: Literal["callback_data", "to"] = "callback_data"
    """The key of a message for its draws. `to` repeats a run exactly, even if the sender creates new ids each time."""
    wamid_salt: str | None = None
    """Salt of the message ids. None creates a new salt at each start, so that no id is repeated."""
    time_scale: Annotated[float, Field(gt=0.0)] = 1.0
    webhook_url: str | None = None
    app_secret: SecretStr = SecretStr("simulator-app-secret")
    access_token: SecretStr | None = None
    """None accepts any bearer token. A request without a token is always refused."""
    number_tokens: dict[str, SecretStr] = {}
    """The tokens of the numbers that have their own, by their ids. Such a number takes no other token."""
    phone_number_ids: frozenset[str] | None = None
    waba_id: str = "102290129340398"
    display_phone_number: str = "15550783881"
    """The number as people see it. Numbers without an entry in `display_phone_numbers` have it."""
    display_phone_numbers: dict[str, str] = {}
    """Numbers as people see them, by their ids."""
    mps: Annotated[float, Field(gt=0.0)] | None = None
    """Limit of messages per second and number, not divided by `time_scale`. Above it the answer is 130429."""
    pair_limit: Annotated[float, Field(gt=0.0)] | None = 6.0
    """Seconds per message from a number to the same person, not divided by `time_scale`. Above it, after a burst of 45
    messages, the answer is 131056. None: no limit."""
    portfolio_limit: Annotated[int, Field(gt=0)] | None = None
    """How many people may get templates from all numbers together in 24 hours (divided by `time_scale`), outside the
    service window. Above it the answer is 131048. None: no limit."""
    versions: frozenset[str] = VERSIONS
    """The versions of the Graph API in paths. Another version is an unknown path (code 2500)."""
    templates: tuple[TemplateConfig, ...] = (HELLO_WORLD,)
    are_templates_known: bool = False
    """Whether the account has only the templates above and those that are created. If not, any other name is an
    approved marketing template that takes any parameters."""
    template_review: TemplateStatus = "APPROVED"
    """The result of the review of a created template. It comes at once, as a webhook."""
    hyphenated_languages: bool = False
    """Whether webhooks about templates write `en-US`, as the examples on Meta's pages do. Client libraries read the
    `en_US` of the REST API there too."""
    marketing_endpoint_only: bool = False
    """Whether marketing templates are refused on `/messages` (131063), as with the account's setting
    `disable_marketing_messages_on_cloud_api`."""
    us_marketing: bool = False
    """Whether marketing templates reach numbers of the United States. Since 1 April 2025 they fail with 131049."""
    service_window: bool = False
    """Whether messages without a template fail with 131047 unless the person wrote in the last 24 hours."""
    wa_ids: dict[str, str] = {}
    """The WhatsApp ids of numbers (digits only) that differ from the number."""
    other_wa_id_share: Probability = 0.0
    """Share of the numbers of Mexico, Brazil and Argentina whose WhatsApp id has another spelling than the number."""
    answers: AnswerConfig = AnswerConfig()
    statuses: StatusConfig = StatusConfig()
    webhooks: WebhookConfig = WebhookConfig()
    rules: tuple[Rule, ...] = ()

    def display_of(self, phone_number_id: str) -> str:
        """The number with this id as people see it."""
        return self.display_phone_numbers.get(phone_number_id, self.display_phone_number)


def rules_for_all_codes() -> tuple[Rule, ...]:
    """A rule for each known code. Numbers that end with its seven digits (0131026) get the code, in its channel."""
    return tuple(
        Rule(suffix=f"{error.code:07d}", outcome="fail" if error.way == "async" else "reject", code=error.code)
        for error in CLOUD_ERRORS.values()
    )
