"""Every setting: its default, its bounds and its description, and what several of them give together.

`runtime/settings.py` reads them from the environment.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from domain.keywords import DEFAULT, Keywords
from domain.pairs import PAIR_S
from runtime.sending_numbers import SendingNumber

MECHANISMS = frozenset({"sasl.mechanism", "sasl.mechanisms"})
"""librdkafka has both names for the same option."""


class SettingsFields(BaseModel):
    """The settings as fields. A field is the variable ``CAMPAIGNS_<NAME>``."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)

    # Kafka and Postgres
    kafka_bootstrap_servers: str = Field(
        min_length=1, description="Addresses of the Kafka brokers, as host:port, separated by commas."
    )
    kafka_user: SecretStr = Field(
        default=SecretStr(""),
        description="User of the Kafka cluster (SASL). With it the connection is SASL_SSL with mechanism PLAIN, unless "
        "CAMPAIGNS_KAFKA_EXTRA has another security.protocol or sasl.mechanism.",
    )
    kafka_password: SecretStr = Field(
        default=SecretStr(""), description="Password of that user. It may contain any visible character."
    )
    kafka_extra: dict[str, SecretStr] = Field(
        default_factory=dict,
        description='More librdkafka options as name=value;name="value". A value with a semicolon is in quotation '
        "marks; the same mark inside is written twice.",
    )
    schema_registry_url: str = Field(
        default="",
        description="Base address of a schema registry with the API of Confluent, for `campaigns schemas register`.",
    )
    schema_registry_user: SecretStr = Field(default=SecretStr(""), description="User of the schema registry.")
    schema_registry_password: SecretStr = Field(default=SecretStr(""), description="Password of that user.")
    topic_prefix: str = Field(
        default="",
        max_length=100,
        pattern=r"^[a-zA-Z0-9._-]*$",
        description="A prefix for the name of every topic and consumer group, of letters, digits, dots, _ and -.",
    )
    database_url: SecretStr = Field(
        description="Address of PostgreSQL. Connect directly: a pooler in transaction mode does not work."
    )
    reader_password: SecretStr = Field(
        default=SecretStr(""),
        description="Password of the role that only reads the reports, for `campaigns db reader`. No process uses it.",
    )
    # WhatsApp Cloud API
    deployment: str = Field(
        default="default",
        max_length=16,
        pattern=r"^[a-zA-Z0-9_-]+$",
        description="The name of this deployment in the callback data, of letters, digits, _ and -. Another "
        "deployment's statuses are not ours.",
    )
    whatsapp_api_url: str = Field(
        default="https://graph.facebook.com", min_length=1, description="Base address of the Cloud API."
    )
    whatsapp_api_version: str = Field(
        default="v25.0",
        pattern=r"^v\d+\.\d+$",
        description="Version of the Graph API that the sender calls, such as v25.0.",
    )
    whatsapp_access_token: SecretStr = Field(default=SecretStr(""), description="Bearer token for the Cloud API.")
    whatsapp_phone_number_id: str = Field(
        default="",
        max_length=64,
        pattern=r"^[0-9]*$",
        description="The phone number id (digits) of campaigns that name none.",
    )
    whatsapp_account_id: str = Field(
        default="",
        max_length=64,
        pattern=r"^[0-9]*$",
        description="The id (digits) of the WhatsApp Business account that owns the templates. Without it templates "
        "are neither listed nor checked.",
    )
    whatsapp_endpoint: str = Field(
        default="messages",
        pattern=r"^(messages|marketing_messages)$",
        description="Endpoint of the Cloud API to which messages are sent: messages, or marketing_messages for the "
        "Marketing Messages API, which takes templates of the category marketing only.",
    )
    whatsapp_product_policy: str = Field(
        default="",
        pattern=r"^(CLOUD_API_FALLBACK|STRICT)?$",
        description="The `product_policy` of each message to marketing_messages, whether its campaign or "
        "CAMPAIGNS_WHATSAPP_ENDPOINT chose that endpoint: CLOUD_API_FALLBACK also sends what the Marketing Messages "
        "API cannot send, STRICT does not. Without it Meta's default holds.",
    )
    whatsapp_mps: int = Field(default=80, ge=1, le=5000, description="Messages per second of one phone number.")
    whatsapp_numbers: tuple[SendingNumber, ...] = Field(
        default=(),
        description="Sending numbers with a pace or a token of their own, as JSON or as the path of a file with it: "
        '`[{"phone_number_id": "106540352242922", "mps": 250, "access_token_file": "/run/secrets/token"}]`. '
        "`access_token` may stand for the file. What a number lacks is as for all others.",
    )
    whatsapp_pair_s: float = Field(
        default=PAIR_S,
        ge=0,
        le=3600,
        description="Seconds between two messages of a number to one person. Meta refuses more with 131056. 0 turns it "
        "off.",
    )
    whatsapp_portfolio_limit: int | None = Field(
        default=None,
        ge=1,
        le=100_000_000,
        description="How many different people all campaigns together may send to in any 24 hours. It is the messaging "
        "limit of the business portfolio, which all its numbers share (250, 2000, 10000 or 100000). Without it there "
        "is no such budget.",
    )
    rate_card: str = Field(
        default="",
        max_length=4096,
        description="Path of the CSV file with the rates of your account, for the cost in plans. Without it the dated "
        "example of this version is used.",
    )
    callback_secret: SecretStr = Field(
        default=SecretStr(""), description="Key of the signature (HMAC) in the callback data."
    )
    # Ingress
    webhook_app_secrets: tuple[SecretStr, ...] = Field(
        default=(),
        description="Meta app secrets that sign webhooks, separated by commas. Give both during a rotation.",
    )
    webhook_verify_token: SecretStr = Field(
        default=SecretStr(""), description="The token of Meta's GET request that verifies the callback address."
    )
    ingress_host: str = Field(default="127.0.0.1", description="Address on which the ingress listens.")
    ingress_port: int = Field(default=8001, ge=0, le=65535, description="Port of the ingress. 0 takes a free one.")
    ingress_port_shared: bool = Field(
        default=False,
        description="Whether several ingresses on this machine share the port. Linux spreads the connections.",
    )
    ingress_body_bytes_max: int = Field(
        default=3_500_000, ge=1024, le=4_000_000, description="Largest webhook body in bytes. A larger one gets 413."
    )
    ingress_pending_bytes_max: int = Field(
        default=64 * 1024 * 1024,
        ge=1_000_000,
        le=16 * 1024**3,
        description="Bytes of bodies that wait for Kafka. Above it, requests get 503.",
    )
    ingress_ack_timeout_s: float = Field(
        default=10.0,
        ge=0.1,
        le=300,
        description="Seconds in which Kafka must acknowledge. Later, the request gets 503.",
    )
    # Opt-outs
    stop_words: tuple[str, ...] = Field(
        default=(DEFAULT,),
        description="Messages and buttons that opt a person out, separated by commas. `default` stands for the words "
        "of the table in domain/stop_words.py, so `default,leave me alone` adds one.",
    )
    start_words: tuple[str, ...] = Field(
        default=(DEFAULT,),
        description="Messages and buttons that revoke a stop word of the same person, separated by commas. `default` "
        "stands for the words of the table.",
    )
    # API
    api_host: str = Field(
        default="127.0.0.1",
        description="Address on which the API listens. Any address but loopback needs API keys.",
    )
    api_port: int = Field(default=8000, ge=0, le=65535, description="Port of the API. 0 takes a free one.")
    api_keys: tuple[SecretStr, ...] = Field(
        default=(),
        description="Keys that the API accepts, separated by commas. Needed unless it listens on loopback only.",
    )
    # Sending
    send_window: int = Field(
        default=512,
        ge=1,
        le=2000,
        description="Sends in flight per sender. If a sender is killed, at most this many recipients become unknown.",
    )
    send_timeout_s: float = Field(
        default=20.0, gt=0, le=600, description="Seconds to wait for an answer. After that the outcome is unknown."
    )
    lease_s: float = Field(
        default=45.0,
        gt=1,
        le=3600,
        description="Seconds that a claim holds without a renewal. It must be longer than the send timeout.",
    )
    release_cap_s: float = Field(
        default=10.0,
        gt=0,
        le=3600,
        description="How much work may wait for senders, in seconds of the send rate.",
    )
    time_scale: float = Field(
        default=1.0, gt=0, le=100_000, description="All backoffs are divided by it. For the demo and for tests."
    )
    # Operation
    metrics_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="Port of /health, /ready and /metrics of this process. 0 turns them off.",
    )
    metrics_host: str = Field(default="127.0.0.1", description="Address on which /health, /ready and /metrics listen.")
    log_level: str = Field(
        default="info",
        pattern=r"^(debug|info|warning|error)$",
        description="Least severe level that is logged: debug, info, warning or error.",
    )
    log_format: str = Field(
        default="console", pattern=r"^(console|json)$", description="Format of the log lines: console or json."
    )
    traces: str = Field(
        default="",
        description="Base address of a collector of OpenTelemetry (OTLP over HTTP), such as http://collector:4318. "
        "Without it there are no traces.",
    )
    traces_ratio: float = Field(
        default=0.01,
        gt=0,
        le=1,
        description="Share of the attempts that have a trace. Give all processes the same.",
    )
    instance: str = Field(
        default="",
        max_length=100,
        pattern=r"^[a-zA-Z0-9._-]*$",
        description="A stable name of this process among those of its kind, of letters, digits, dots, _ and -. A "
        "process that was killed and returns under its name gets its partitions back at once.",
    )
    dead_letter_rate_max: int = Field(
        default=1000, ge=1, le=10**9, description="Dead letters per minute above which the stage halts."
    )
    dead_letter_share_max: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Share of dead letters in the last 1,000 items above which the stage halts. 1 turns it off.",
    )
    # Retention
    keep_ledger_days: int | None = Field(
        default=None,
        ge=1,
        le=36_500,
        description="Days that attempts stay in the ledger after their outcome is published. Without it: forever.",
    )
    keep_messages_days: int | None = Field(
        default=None,
        ge=1,
        le=36_500,
        description="Days that message ids and prices stay. A key of each message id stays. Without it: forever.",
    )
    keep_outbox_days: int | None = Field(
        default=None,
        ge=1,
        le=36_500,
        description="Days that published changes of subscriptions stay in the outbox. Without it: forever.",
    )
    keep_budgets_days: int | None = Field(
        default=None,
        ge=1,
        le=36_500,
        description="Days that the budgets of past days stay. Without it: forever.",
    )
    keep_timeline_days: int | None = Field(
        default=None,
        ge=1,
        le=36_500,
        description="Days that the minutes of the timelines of campaigns stay. Without it: forever.",
    )
    keep_dead_letter_acts_days: int | None = Field(
        default=None,
        ge=31,
        le=36_500,
        description="Days that redrives and drops of dead letters are remembered. The dead letters themselves stay in "
        "their topics for 30 days. Without it: forever.",
    )
    heartbeat_s: float = Field(
        default=1.0,
        ge=0.1,
        le=3,
        description="Seconds between two heartbeats of a consumer. When a process leaves its group, the others take "
        "over its partitions after their next heartbeat. `campaigns up` sets 3: it runs one process of each kind.",
    )
    stall_limit_s: float = Field(
        default=60.0,
        gt=1,
        le=86_400,
        description="Seconds without progress, while there is work, after which a process exits with 75.",
    )

    def kafka_options(self) -> dict[str, str]:
        """The options of the cluster by librdkafka's names, in plain text: those given, the user and the password."""
        given = {name: value.get_secret_value() for name, value in self.kafka_extra.items()}
        if not self.kafka_user.get_secret_value():
            return given
        account = {
            "sasl.username": self.kafka_user.get_secret_value(),
            "sasl.password": self.kafka_password.get_secret_value(),
        }
        mechanism = {} if MECHANISMS & given.keys() else {"sasl.mechanism": "PLAIN"}
        return {"security.protocol": "SASL_SSL", **mechanism, **given, **account}

    @property
    def known_numbers(self) -> frozenset[str]:
        """The numbers that the settings name, the default among them. Empty: campaigns name their own."""
        default = (self.whatsapp_phone_number_id,) if self.whatsapp_phone_number_id else ()
        return frozenset((*default, *(each.phone_number_id for each in self.whatsapp_numbers)))

    def mps_by_number(self) -> dict[str, int]:
        """The messages per second of the numbers that have a pace of their own."""
        return {each.phone_number_id: each.mps for each in self.whatsapp_numbers if each.mps is not None}

    def tokens_by_number(self) -> dict[str, SecretStr]:
        """The tokens of the numbers that have their own."""
        return {
            each.phone_number_id: each.access_token for each in self.whatsapp_numbers if each.access_token is not None
        }

    def keywords(self) -> Keywords:
        """The stop and start words of this installation."""
        return Keywords.of(self.stop_words, self.start_words)

    def topic(self, name: str) -> str:
        """The real name of a topic."""
        return self.topic_prefix + name

    def group(self, name: str) -> str:
        """The real name of a consumer group."""
        return f"{self.topic_prefix}campaigns-{name}"
