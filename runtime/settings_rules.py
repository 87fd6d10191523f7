"""Rules over several settings, which no single value can break.

The most important one: a deployment that can reach real people, or that real people's webhooks can reach, runs with
secrets of its own. Those of the examples are published in this repository, and a short one can be guessed.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from pydantic import SecretStr

from runtime.settings_fields import SettingsFields
from runtime.settings_values import host_of, is_loopback, postgres_password

PUBLISHED_TOKEN = "simulated"  # noqa: S105 - it is the published one
PUBLISHED = frozenset({
    PUBLISHED_TOKEN, "simulated-app-secret", "simulated-verify-token", "simulated-callback-secret", "change-me",
    "changeme", "campaigns", "password", "secret", "postgres",
})  # fmt: skip
"""Secrets of the examples and of `docker-compose.yml`, and those that everybody tries first."""
SECRET_CHARACTERS_MIN = 16
SIMULATED_ACCOUNT_ID = "102290129340398"
"""The account of the simulator, whose templates are listed and checked."""
META_TOKEN_PREFIX = "EA"  # noqa: S105 - every access token of Meta starts with it
META_TOKEN_CHARACTERS_MIN = 40
MARKETING_ENDPOINT = "marketing_messages"
"""The endpoint of the Marketing Messages API."""
TRACES_PACKAGES = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http.trace_exporter")
_OWN_SECRETS = ("callback_secret", "webhook_app_secrets", "api_keys")


def problems(settings: SettingsFields) -> list[str]:
    """One line for each broken rule. It names the variables and shows no value."""
    return [
        *_sizes(settings),
        *_kafka_account(settings),
        *_weak_secrets(settings),
        *_packages(settings),
        *_keywords(settings),
    ]


def has_simulator(settings: SettingsFields) -> bool:
    """Whether a simulator replaces Meta. It sends at any hour, and also templates that its account does not list.

    In containers with secrets of their own only the account shows it: no business has this example of Meta's pages.
    """
    is_its_account = settings.whatsapp_account_id == SIMULATED_ACCOUNT_ID
    return not is_real(settings) or (is_its_account and not _has_metas_token(settings) and _is_near(settings))


def is_real(settings: SettingsFields) -> bool:
    """Whether the settings can reach real people.

    A simulator runs on this machine, or under a name without a dot in a network of containers with the published token.
    Any other address is real, also the default, and so is a token of Meta's at any address.
    """
    if _has_metas_token(settings):
        return True
    if is_loopback(host_of(settings.whatsapp_api_url)):
        return False
    return not _is_near(settings) or settings.whatsapp_access_token.get_secret_value() not in ("", PUBLISHED_TOKEN)


def _has_metas_token(settings: SettingsFields) -> bool:
    own = [each.get_secret_value() for each in settings.tokens_by_number().values()]
    tokens = (settings.whatsapp_access_token.get_secret_value(), *own)
    return any(each.startswith(META_TOKEN_PREFIX) and len(each) >= META_TOKEN_CHARACTERS_MIN for each in tokens)


def _is_near(settings: SettingsFields) -> bool:
    """Whether the API has a name without a dot, as in a network of containers, or runs on this machine."""
    name = host_of(settings.whatsapp_api_url)
    return is_loopback(name) or not ("." in name or ":" in name)


def published_secrets(settings: SettingsFields) -> Iterator[str]:
    """The variables whose secret is published, each with the reason."""
    for field in ("whatsapp_access_token", "webhook_verify_token", *_OWN_SECRETS):
        if any(secret.lower() in PUBLISHED for secret in _texts(getattr(settings, field))):
            yield f"{_variable(field)}: is a published example"
    if any(token.get_secret_value().lower() in PUBLISHED for token in settings.tokens_by_number().values()):
        yield f"{_variable('whatsapp_numbers')}: has a token that is a published example"
    if postgres_password(settings.database_url.get_secret_value()) in PUBLISHED:
        yield f"{_variable('database_url')}: has a password that is a published example"


def short_secrets(settings: SettingsFields) -> Iterator[str]:
    """The variables whose secret can be guessed, each with the reason."""
    for field in _OWN_SECRETS:
        secrets = [secret for secret in _texts(getattr(settings, field)) if secret.lower() not in PUBLISHED]
        if any(len(secret) < SECRET_CHARACTERS_MIN for secret in secrets):
            yield f"{_variable(field)}: is shorter than {SECRET_CHARACTERS_MIN} characters"


def _weak_secrets(settings: SettingsFields) -> Iterator[str]:
    if not is_real(settings):
        return
    has_token = bool(settings.whatsapp_access_token.get_secret_value() or settings.tokens_by_number())
    for weak in [*published_secrets(settings), *(short_secrets(settings) if has_token else ())]:
        yield (
            f"{weak}. With a real token or address of WhatsApp it must be a secret of yours "
            '(`python -c "import secrets; print(secrets.token_urlsafe(24))"` makes one)'
        )


def _sizes(settings: SettingsFields) -> Iterator[str]:
    if settings.ingress_pending_bytes_max < settings.ingress_body_bytes_max:
        yield (
            f"{_variable('ingress_pending_bytes_max')}: must be at least {_variable('ingress_body_bytes_max')}, "
            "or the largest body is never accepted"
        )


def _kafka_account(settings: SettingsFields) -> Iterator[str]:
    user, password = settings.kafka_user.get_secret_value(), settings.kafka_password.get_secret_value()
    if bool(user) != bool(password):
        there, missing = ("kafka_user", "kafka_password") if user else ("kafka_password", "kafka_user")
        yield f"{_variable(missing)}: is not set, but {_variable(there)} is"
    twice = sorted({"sasl.username", "sasl.password"} & settings.kafka_extra.keys())
    if user and twice:
        yield f"{_variable('kafka_extra')}: has {' and '.join(twice)} as well as {_variable('kafka_user')}: remove one"
    protocol = settings.kafka_extra.get("security.protocol")
    if user and protocol is not None and not protocol.get_secret_value().upper().startswith("SASL_"):
        yield (
            f"{_variable('kafka_extra')}: has a security.protocol that takes no user, but {_variable('kafka_user')} "
            "is set: use SASL_SSL or SASL_PLAINTEXT"
        )


def _packages(settings: SettingsFields) -> Iterator[str]:
    if settings.traces and not all(_is_installed(package) for package in TRACES_PACKAGES):
        yield f"{_variable('traces')}: needs packages that are not installed: pip install 'campaign-streams[traces]'"


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # not even the package around it
        return False


def _keywords(settings: SettingsFields) -> Iterator[str]:
    try:
        settings.keywords()
    except ValueError as error:
        yield f"{_variable('stop_words')} and {_variable('start_words')}: {error}"


def _texts(value: SecretStr | tuple[SecretStr, ...]) -> list[str]:
    secrets = value if isinstance(value, tuple) else (value,)
    return [text for each in secrets if (text := each.get_secret_value())]


def _variable(field: str) -> str:
    return f"CAMPAIGNS_{field.upper()}"
