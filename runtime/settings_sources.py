"""The effective settings as an operator may see them: each with its value, masked, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import SecretStr

from runtime.sending_numbers import SendingNumber
from runtime.settings import PREFIX, STATE_FOLDER, Settings, read_environment, shell_environment

MASK = "********"
"""It shows that a secret is set, and nothing of its length."""

Shown = str | int | float | dict[str, str] | list[str] | None
"""A value as JSON can hold it."""


class SettingSource(StrEnum):
    """Where the value of a setting comes from."""

    ENVIRONMENT = "environment"
    FILE = ".campaigns/env"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class EffectiveSetting:
    """One setting of this process."""

    variable: str
    value: Shown
    source: SettingSource


def effective_settings(
    settings: Settings, environ: Mapping[str, str] | None = None, state_folder: Path = STATE_FOLDER
) -> list[EffectiveSetting]:
    """Every setting, in the order of the reference page. The environment wins over the file, and both over defaults.

    Raises InvalidSettings for a file that cannot be read.
    """
    given = shell_environment() if environ is None else environ
    in_file = read_environment({}, state_folder)
    return [
        EffectiveSetting(variable, _shown(getattr(settings, field)), _source(variable, given, in_file))
        for field in Settings.model_fields
        for variable in (f"{PREFIX}{field.upper()}",)
    ]


def _source(variable: str, given: Mapping[str, str], in_file: Mapping[str, str]) -> SettingSource:
    if variable in given:
        return SettingSource.ENVIRONMENT
    return SettingSource.FILE if variable in in_file else SettingSource.DEFAULT


def _shown(value: object) -> Shown:
    """The value with every secret masked. A secret that is not set is empty."""
    match value:
        case SecretStr():
            return MASK if value.get_secret_value() else ""
        case dict():
            return {str(name): str(_shown(each)) for name, each in value.items()}
        case tuple():
            return [str(_shown(each)) for each in value]
        case SendingNumber():
            pace = "" if value.mps is None else f" at {value.mps}/s"
            return f"{value.phone_number_id}{pace}" + (f" with token {MASK}" if value.access_token else "")
        case str() | int() | float() | None:
            return value
        case _:
            raise TypeError(f"a setting of type {type(value).__name__} has no form to be shown")
