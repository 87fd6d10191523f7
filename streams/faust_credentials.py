"""Translates the settings of a secured cluster from librdkafka's names to Faust's, so that one variable serves both."""

from __future__ import annotations

import ssl
from typing import Any

import faust

from runtime.settings import InvalidSettings, Settings


def credentials(settings: Settings) -> Any:
    """Faust's credentials for `kafka_extra`; None for a plain cluster. Raises InvalidSettings for other options."""
    extra = settings.kafka_extra
    protocol = extra.get("security.protocol", "PLAINTEXT").upper()
    if protocol == "PLAINTEXT":
        return None
    context = ssl.create_default_context(cafile=extra.get("ssl.ca.location")) if protocol.endswith("SSL") else None
    if context is not None and "ssl.certificate.location" in extra:
        context.load_cert_chain(
            extra["ssl.certificate.location"], extra.get("ssl.key.location"), extra.get("ssl.key.password")
        )
    if protocol == "SSL":
        return faust.SSLCredentials(context)
    if not protocol.startswith("SASL_"):
        raise InvalidSettings(f"CAMPAIGNS_KAFKA_EXTRA: security.protocol {protocol} is not supported")
    try:
        return faust.SASLCredentials(
            username=extra["sasl.username"],
            password=extra["sasl.password"],
            mechanism=extra.get("sasl.mechanism", "PLAIN"),
            ssl_context=context,
        )
    except KeyError as missing:
        raise InvalidSettings(f"CAMPAIGNS_KAFKA_EXTRA: {missing.args[0]} is not set") from None
