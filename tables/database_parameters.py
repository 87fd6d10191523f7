"""The parameters of a database address whose values libpq judges only when it connects.

It would then look as if the server were away. Each problem names the parameter and never its value.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

_NUMBERS = frozenset({
    "connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
})  # fmt: skip
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "gssencmode": ("disable", "prefer", "require"),
    "channel_binding": ("disable", "prefer", "require"),
    "load_balance_hosts": ("disable", "random"),
    "sslnegotiation": ("postgres", "direct"),
    "ssl_min_protocol_version": ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
    "ssl_max_protocol_version": ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
    "target_session_attrs": ("any", "read-write", "primary"),
}
"""Values that libpq knows. Of `target_session_attrs` those that a server which takes writes can meet."""
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "sslcrldir", "passfile")
SYSTEM_ROOTS = "system"
"""The value of `sslrootcert` that names no file."""


def wrong_parameters(parts: Mapping[str, str]) -> Iterator[str]:
    """A problem for each parameter with a wrong value. `parts`: an address by libpq's names."""
    for name in sorted(_NUMBERS & parts.keys()):
        value = parts[name].strip()
        if not value.removeprefix("-").isdecimal():
            yield f"{name} expects a whole number"
    for name, choices in _CHOICES.items():
        if name in parts and parts[name] not in choices:
            yield f"{name} must be one of {', '.join(choices)}"
    for name in _FILES:
        if name in parts and parts[name] != SYSTEM_ROOTS and not os.access(parts[name], os.R_OK):
            yield f"{name} names a file that cannot be read"
