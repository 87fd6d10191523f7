"""Translates the settings of a secured cluster from librdkafka's names to Faust's, so that one variable serves both."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

import faust

from runtime.settings import InvalidSettings, Settings
from runtime.settings_fields import MECHANISMS

VARIABLE = "CAMPAIGNS_KAFKA_EXTRA"
SUPPORTED_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
HONOURED = MECHANISMS | {
    "sasl.username", "sasl.password", "ssl.ca.location", "ssl.certificate.location", "ssl.key.location",
    "ssl.key.password", "ssl.cipher.suites", "ssl.endpoint.identification.algorithm",
    "enable.ssl.certificate.verification",
}  # fmt: skip
"""Options of security that both clients understand. Others of the cluster's security are refused, not dropped."""
_SECURITY = ("sasl.", "ssl.", "enable.ssl.", "enable.sasl.")


def credentials(settings: Settings) -> Any:
    """Faust's credentials for the cluster; None for a plain one.

    Raises InvalidSettings naming an option that Faust's client cannot honour, or whose file cannot be read.
    """
    options = settings.kafka_options()
    protocol = options.get("security.protocol", "plaintext").upper()
    if protocol == "PLAINTEXT":
        return None
    if foreign := sorted(name for name in options if name.startswith(_SECURITY) and name not in HONOURED):
        raise InvalidSettings(
            f"{VARIABLE}: {' and '.join(foreign)} is not supported: sender and reconciler cannot use it"
        )
    context = _context(options) if protocol.endswith("SSL") else None
    if protocol == "SSL":
        return faust.SSLCredentials(context)
    mechanism = next((options[name].upper() for name in MECHANISMS if name in options), "GSSAPI")
    if mechanism not in SUPPORTED_MECHANISMS:
        raise InvalidSettings(f"{VARIABLE}: sasl.mechanism must be one of {', '.join(SUPPORTED_MECHANISMS)}")
    if missing := [name for name in ("sasl.username", "sasl.password") if name not in options]:
        raise InvalidSettings(f"{VARIABLE}: {' and '.join(missing)} is not set")
    return faust.SASLCredentials(
        username=options["sasl.username"],
        password=options["sasl.password"],
        mechanism=mechanism,
        ssl_context=context,
    )


def _context(options: Mapping[str, str]) -> ssl.SSLContext:
    """The TLS settings. Raises InvalidSettings."""
    naming = "ssl.ca.location"
    try:
        context = ssl.create_default_context(cafile=options.get(naming))
        naming = "ssl.cipher.suites"
        if naming in options:
            context.set_ciphers(options[naming])
        naming = "ssl.certificate.location, ssl.key.location or ssl.key.password"
        if "ssl.certificate.location" in options:
            context.load_cert_chain(
                options["ssl.certificate.location"],
                options.get("ssl.key.location"),
                options.get("ssl.key.password", ""),  # without a text, OpenSSL would ask on the terminal
            )
    except (OSError, ValueError):  # SSLError is an OSError; their texts may quote a path
        raise InvalidSettings(f"{VARIABLE}: {naming} cannot be loaded: is the file there and complete?") from None
    if options.get("ssl.endpoint.identification.algorithm", "https").lower() == "none":
        context.check_hostname = False
    if options.get("enable.ssl.certificate.verification", "true").lower() in ("false", "0", "f"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
