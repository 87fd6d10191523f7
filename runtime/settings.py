"""The only reader of the environment: every process receives its settings from here.

An invalid setting stops the start and names the variable. Secrets are masked in `repr` and logs. The settings are in
`runtime/settings_fields.py`, the grammar of single values is in `runtime/settings_values.py`, and rules over several
settings are in `runtime/settings_rules.py`.
`.campaigns/env` of the working directory (written by `campaigns up`) supplies variables that the environment lacks.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import SecretStr, ValidationError, field_validator, model_validator

from runtime import settings_problems, settings_rules, settings_setup, settings_values
from runtime.sending_numbers import sending_numbers
from runtime.settings_fields import SettingsFields

PREFIX = "CAMPAIGNS_"
STATE_FOLDER = Path(".campaigns")
MAY_BE_EMPTY = frozenset(
    {
        "topic_prefix",
        "instance",
        "whatsapp_phone_number_id",
        "whatsapp_account_id",
        "traces",
        "whatsapp_product_policy",
    }
)
"""Settings whose empty value is a choice. Any other empty variable is a value that did not arrive."""


class InvalidSettings(Exception):
    """A variable is missing or invalid. The message names each one, never its value."""


class Settings(SettingsFields):
    """All settings, by the variable ``CAMPAIGNS_<NAME>``. Lists are comma-separated."""

    @field_validator("webhook_app_secrets", "api_keys", mode="before")
    @classmethod
    def _list(cls, value: Any) -> Any:
        return settings_values.credentials(value) if isinstance(value, str) else value

    @field_validator("whatsapp_numbers", mode="before")
    @classmethod
    def _numbers(cls, value: Any) -> Any:
        return sending_numbers(value) if isinstance(value, str) else value

    @field_validator("stop_words", "start_words", mode="before")
    @classmethod
    def _words(cls, value: Any) -> Any:
        return settings_values.words(value) if isinstance(value, str) else value

    @field_validator("whatsapp_access_token", "callback_secret", "webhook_verify_token", mode="before")
    @classmethod
    def _credential(cls, value: Any) -> Any:
        return settings_values.credential(value) if isinstance(value, str) else value

    @field_validator("kafka_extra", mode="before")
    @classmethod
    def _options(cls, value: Any) -> Any:
        return settings_values.options(value) if isinstance(value, str) else value

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _brokers(cls, value: str) -> str:
        return settings_values.kafka_servers(value)

    @field_validator("database_url", mode="before")
    @classmethod
    def _database(cls, value: Any) -> Any:
        return settings_values.postgres_address(value) if isinstance(value, str) else value

    @field_validator("whatsapp_api_url")
    @classmethod
    def _base(cls, value: str) -> str:
        return settings_values.http_base(value)

    @field_validator("schema_registry_url")
    @classmethod
    def _registry(cls, value: str) -> str:
        return settings_values.registry(value) if value else value

    @field_validator("traces")
    @classmethod
    def _collector(cls, value: str) -> str:
        return settings_values.collector(value) if value else value

    @field_validator("ingress_host", "api_host", "metrics_host")
    @classmethod
    def _host(cls, value: str) -> str:
        return settings_values.host(value)

    @field_validator("*", mode="before")  # the last one runs first
    @classmethod
    def _cleaned(cls, value: Any) -> Any:
        return settings_values.cleaned(value) if isinstance(value, str) else value

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


def shell_environment() -> dict[str, str]:
    """A copy of the environment of this process, for its children."""
    return dict(os.environ)


def without_white_space(given: Mapping[str, str]) -> dict[str, str]:
    """Variables as the settings read them: without what a copy leaves around a value. Those of the set-up are paths."""
    return {
        name: value if name in _SETUP_VARIABLES.values() else settings_values.stripped(value)
        for name, value in given.items()
    }


def read_environment(environ: Mapping[str, str] | None = None, state_folder: Path = STATE_FOLDER) -> dict[str, str]:
    """`CAMPAIGNS_*` of the environment, and of `<state_folder>/env` for variables that the environment lacks.

    Raises InvalidSettings for a file that cannot be read.
    """
    environ = shell_environment() if environ is None else environ
    found: dict[str, str] = {}
    file = state_folder / "env"
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        lines = []
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise InvalidSettings(f"{file}: cannot be read: {reason}") from None
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
    named = {name: value for name, value in found.items() if name not in _SETUP_VARIABLES.values()}
    problems = [
        *settings_problems.service_links(named),
        *settings_setup.problems({field: found.get(name) for field, name in _SETUP_VARIABLES.items()}, PREFIX),
        *settings_problems.unknown(named, [*_VARIABLES.values(), *_SETUP_VARIABLES.values()]),
        *settings_problems.empty(named, [name for field, name in _VARIABLES.items() if field not in MAY_BE_EMPTY]),
    ]
    fields = {field: named[name] for field, name in _VARIABLES.items() if name in named}
    try:
        settings = Settings.model_validate(fields)
    except ValidationError as error:
        found_before = {problem.partition(":")[0] for problem in problems}
        described = (settings_problems.described(item, _VARIABLES, Settings.model_fields) for item in error.errors())
        problems += [each for each in described if each.partition(":")[0] not in found_before]
    else:
        problems += settings_rules.problems(settings)
    if problems:
        raise InvalidSettings("\n".join(problems))
    return settings


def _plain(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


_VARIABLES = {field: f"{PREFIX}{field.upper()}" for field in Settings.model_fields}
_SETUP_VARIABLES = {field: f"{PREFIX}{field.upper()}" for field in settings_setup.SETUP_ONLY}
