"""The only reader of the environment: every process gets this value and nothing else.

A wrong setting stops the start and names the variable. Secrets are masked in `repr` and logs.
`.campaigns/env` of the working directory (written by `campaigns up`) fills what the environment does not say.
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


class WrongSettings(Exception):
    """A variable is missing or wrong; the message names each one, never its value."""


class Settings(BaseModel):
    """All settings, by the variable ``CAMPAIGNS_<NAME>``. Lists are comma-separated."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    # Kafka and Postgres
    kafka_bootstrap_servers: str = Field(min_length=1, description="host:port, comma-separated")
    kafka_extra: dict[str, str] = Field(
        default_factory=dict, repr=False, description="librdkafka options as k=v;k=v (security, SASL)"
    )
    topic_prefix: str = Field(
        default="", max_length=100, pattern=r"^[a-zA-Z0-9._-]*$", description="before every topic and group name"
    )
    database_url: SecretStr = Field(description="PostgreSQL, direct: no transaction pooler")
    # WhatsApp Cloud API
    deployment: str = Field(
        default="default", max_length=16, pattern=r"^[a-zA-Z0-9_-]+$", description="our name in the callback data"
    )
    whatsapp_api_url: str = Field(default="https://graph.facebook.com", min_length=1)
    whatsapp_api_version: str = Field(default="v25.0", pattern=r"^v\d+\.\d+$")
    whatsapp_access_token: SecretStr = SecretStr("")
    whatsapp_phone_number_id: str = Field(default="", max_length=64, description="the default number of a campaign")
    whatsapp_mps: int = Field(default=80, ge=1, le=5000, description="messages per second of a number")
    callback_secret: SecretStr = Field(default=SecretStr(""), description="key of the HMAC in the callback data")
    # Ingress
    webhook_app_secrets: tuple[SecretStr, ...] = Field(
        default=(), description="Meta app secrets, several during rotation"
    )
    webhook_verify_token: SecretStr = SecretStr("")
    ingress_host: str = "127.0.0.1"
    ingress_port: int = Field(default=8001, ge=0, le=65535)
    ingress_body_bytes_max: int = Field(default=3_500_000, ge=1024, description="a larger body answers 413")
    ingress_pending_bytes_max: int = Field(default=64 * 1024 * 1024, ge=1_000_000, description="above it: 503")
    ingress_ack_timeout_s: float = Field(default=10.0, gt=0, description="Kafka's time to acknowledge before 503")
    # API
    api_host: str = "127.0.0.1"
    api_port: int = Field(default=8000, ge=0, le=65535)
    api_keys: tuple[SecretStr, ...] = Field(default=(), description="needed unless the API listens on loopback only")
    # Sending
    send_window: int = Field(default=256, ge=1, le=2000, description="sends in flight per sender")
    send_timeout_s: float = Field(default=20.0, gt=0)
    lease_s: float = Field(default=45.0, gt=1)
    release_cap_s: float = Field(default=10.0, gt=0, description="released but unclaimed, in seconds of the rate")
    time_scale: float = Field(default=1.0, gt=0, le=100_000, description="backoffs are divided by it (demo, tests)")
    # Operation
    metrics_port: int = Field(default=0, ge=0, le=65535, description="Prometheus, 0 = off")
    log_level: str = Field(default="info", pattern=r"^(debug|info|warning|error)$")
    log_format: str = Field(default="console", pattern=r"^(console|json)$")
    instance: str = Field(default="", max_length=100, description="a stable name of this process among its kind")
    dead_letter_rate_max: int = Field(default=1000, ge=1, description="dead letters a minute before the stage stops")
    dead_letter_share_max: float = Field(
        default=0.5, gt=0, le=1, description="share of dead letters in the last items above which the stage stops"
    )
    stall_limit_s: float = Field(default=60.0, gt=1)

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
        """Fail closed: raises WrongSettings naming those of these secrets and texts that are not set."""
        unset = [name for name in names if not str(_plain(getattr(self, name)))]
        if unset:
            problems = (f"{PREFIX}{name.upper()}: is not set, and this process needs it" for name in unset)
            raise WrongSettings("\n".join(problems))

    def topic(self, name: str) -> str:
        """The real name of a topic."""
        return self.topic_prefix + name

    def group(self, name: str) -> str:
        """The real name of a consumer group."""
        return f"{self.topic_prefix}campaigns-{name}"


def shell_environment() -> dict[str, str]:
    """A copy of the environment of this process: for children, and for code that must see it whole."""
    return dict(os.environ)


def read_environment(environ: Mapping[str, str] | None = None, state_folder: Path = STATE_FOLDER) -> dict[str, str]:
    """`CAMPAIGNS_*` of the environment, and of `<state_folder>/env` where the environment is silent."""
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

    Raises WrongSettings naming every variable that is missing, wrong, or unknown.
    """
    found = read_environment(environ, state_folder)
    fields = {name.removeprefix(PREFIX).lower(): value for name, value in found.items()}
    try:
        return Settings.model_validate({name: value for name, value in fields.items() if name not in _SETUP_ONLY})
    except ValidationError as error:
        problems = map(_problem, error.errors())
        raise WrongSettings("\n".join(problems)) from None


def _problem(item: ErrorDetails) -> str:
    if not item["loc"]:  # a rule over several settings, which names them itself
        return item["msg"].removeprefix("Value error, ")
    said = {"extra_forbidden": "no such setting", "missing": "is not set"}.get(item["type"], item["msg"])
    return f"{PREFIX}{str(item['loc'][0]).upper()}: {said}"


def _plain(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


_SETUP_ONLY = frozenset({"maven_url", "cache_dir", "embedded_postgres"})
"""Read by the embedded stack's set-up alone, before there are settings."""
