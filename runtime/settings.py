"""The only reader of the environment: every process receives its settings from here.

An invalid setting stops the start and names the variable. Secrets are masked in `repr` and logs.
`.campaigns/env` of the working directory (written by `campaigns up`) supplies variables that the environment lacks.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

PREFIX = "CAMPAIGNS_"
STATE_FOLDER = Path(".campaigns")


class InvalidSettings(Exception):
    """A variable is missing or invalid. The message names each one, never its value."""


class Settings(BaseModel):
    """All settings, by the variable ``CAMPAIGNS_<NAME>``. Lists are comma-separated."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    # Kafka and Postgres
    kafka_bootstrap_servers: str = Field(
        min_length=1, description="Addresses of the Kafka brokers, as host:port, separated by commas."
    )
    kafka_extra: dict[str, str] = Field(
        default_factory=dict,
        repr=False,
        description="More librdkafka options as k=v;k=v, for example for SASL. Treat it as a secret: it may hold one.",
    )
    topic_prefix: str = Field(
        default="",
        max_length=100,
        pattern=r"^[a-zA-Z0-9._-]*$",
        description="A prefix for the name of every topic and consumer group.",
    )
    database_url: SecretStr = Field(
        description="Address of PostgreSQL. Connect directly: a pooler in transaction mode does not work."
    )
    # WhatsApp Cloud API
    deployment: str = Field(
        default="default",
        max_length=16,
        pattern=r"^[a-zA-Z0-9_-]+$",
        description="The name of this deployment in the callback data. Another deployment's statuses are not ours.",
    )
    whatsapp_api_url: str = Field(
        default="https://graph.facebook.com", min_length=1, description="Base address of the Cloud API."
    )
    whatsapp_api_version: str = Field(
        default="v25.0", pattern=r"^v\d+\.\d+$", description="Version of the Graph API that the sender calls."
    )
    whatsapp_access_token: SecretStr = Field(default=SecretStr(""), description="Bearer token for the Cloud API.")
    whatsapp_phone_number_id: str = Field(
        default="", max_length=64, description="The phone number id of campaigns that name none."
    )
    whatsapp_mps: int = Field(default=80, ge=1, le=5000, description="Messages per second of one phone number.")
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
    ingress_body_bytes_max: int = Field(
        default=3_500_000, ge=1024, description="Largest webhook body in bytes. A larger one gets 413."
    )
    ingress_pending_bytes_max: int = Field(
        default=64 * 1024 * 1024,
        ge=1_000_000,
        description="Bytes of bodies that wait for Kafka. Above it, requests get 503.",
    )
    ingress_ack_timeout_s: float = Field(
        default=10.0, gt=0, description="Seconds in which Kafka must acknowledge. Later, the request gets 503."
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
        default=256,
        ge=1,
        le=2000,
        description="Sends in flight per sender. If a sender is killed, at most this many recipients become unknown.",
    )
    send_timeout_s: float = Field(
        default=20.0, gt=0, description="Seconds to wait for an answer. After that the outcome is unknown."
    )
    lease_s: float = Field(
        default=45.0,
        gt=1,
        description="Seconds that a claim holds without a renewal. It must be longer than the send timeout.",
    )
    release_cap_s: float = Field(
        default=10.0,
        gt=0,
        description="How much work may wait for senders, in seconds of the send rate.",
    )
    time_scale: float = Field(
        default=1.0, gt=0, le=100_000, description="All backoffs are divided by it. For the demo and for tests."
    )
    # Operation
    metrics_port: int = Field(
        default=0, ge=0, le=65535, description="Port of the Prometheus metrics, on loopback. 0 turns them off."
    )
    log_level: str = Field(
        default="info",
        pattern=r"^(debug|info|warning|error)$",
        description="Least severe level that is logged: debug, info, warning or error.",
    )
    log_format: str = Field(
        default="console", pattern=r"^(console|json)$", description="Format of the log lines: console or json."
    )
    instance: str = Field(
        default="",
        max_length=100,
        description="A stable name of this process among those of its kind. It keeps its partitions over a restart.",
    )
    dead_letter_rate_max: int = Field(
        default=1000, ge=1, description="Dead letters per minute above which the stage halts."
    )
    dead_letter_share_max: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Share of dead letters in the last 1,000 items above which the stage halts. 1 turns it off.",
    )
    stall_limit_s: float = Field(
        default=60.0,
        gt=1,
        description="Seconds without progress, while there is work, after which a process exits with 75.",
    )

    @field_validator("webhook_app_secrets", "api_keys", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("kafka_extra", mode="before")
    @classmethod
    def _pairs(cls, value: Any) -> Any:
        if isinstance(value, str):
            pairs = [part.partition("=") for part in value.split(";") if part.strip()]
            if any(not sep for _, sep, _ in pairs):
                raise ValueError("expects k=v;k=v")
            return {key.strip(): val.strip() for key, _, val in pairs}
        return value

    @field_validator("whatsapp_api_url")
    @classmethod
    def _url(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("expects http:// or https://")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.lease_s <= self.send_timeout_s:
            raise ValueError(f"{PREFIX}LEASE_S: must be longer than {PREFIX}SEND_TIMEOUT_S, or answers come too late")
        return self

    def require(self, *names: str) -> None:
        """Fail closed: raises InvalidSettings naming those of these secrets and texts that are not set."""
        unset = [name for name in names if not str(_plain(getattr(self, name)))]
        if unset:
            problems = (f"{PREFIX}{name.upper()}: is not set, and this process needs it" for name in unset)
            raise InvalidSettings("\n".join(problems))

    def topic(self, name: str) -> str:
        """The real name of a topic."""
        return self.topic_prefix + name

    def group(self, name: str) -> str:
        """The real name of a consumer group."""
        return f"{self.topic_prefix}campaigns-{name}"


def shell_environment() -> dict[str, str]:
    """A copy of the environment of this process, for its children."""
    return dict(os.environ)


def read_environment(environ: Mapping[str, str] | None = None, state_folder: Path = STATE_FOLDER) -> dict[str, str]:
    """`CAMPAIGNS_*` of the environment, and of `<state_folder>/env` for variables that the environment lacks."""
    environ = shell_environment() if environ is None else environ
    found: dict[str, str] = {}
    try:
        lines = (state_folder / "env").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        lines = []
    for line in lines:
        name, sep, value = line.strip().partition("=")
        if sep and name.startswith(PREFIX):
            found[name] = value
    found.update({name: value for name, value in environ.items() if name.startswith(PREFIX)})
    return found


def read_settings(environ: Mapping[str, str] | None = None, state_folder: Path = STATE_FOLDER) -> Settings:
    """Read and validate all settings.

    Raises InvalidSettings naming every variable that is missing, invalid, or unknown.
    """
    found = read_environment(environ, state_folder)
    fields = {name.removeprefix(PREFIX).lower(): value for name, value in found.items()}
    try:
        return Settings.model_validate({name: value for name, value in fields.items() if name not in SETUP_ONLY})
    except ValidationError as error:
        problems = map(_problem, error.errors())
        raise InvalidSettings("\n".join(problems)) from None


def _problem(item: ErrorDetails) -> str:
    if not item["loc"]:  # a rule over several settings, which names them itself
        return item["msg"].removeprefix("Value error, ")
    problem = {"extra_forbidden": "no such setting", "missing": "is not set"}.get(item["type"], item["msg"])
    return f"{PREFIX}{str(item['loc'][0]).upper()}: {problem}"


def _plain(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


SETUP_ONLY = {
    "cache_dir": "Folder of the downloaded files.",
    "maven_url": "A mirror of Maven Central for Kafka's jars.",
    "embedded_postgres": "Major version of the embedded PostgreSQL: 18 or 16.",
}
"""Variables that only the set-up of the embedded servers reads, before there are settings, with their meanings."""
