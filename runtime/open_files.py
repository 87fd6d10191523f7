"""The limit of open files, which bounds the connections of a server."""

from __future__ import annotations

import resource

CONNECTIONS_MAX = 10_000
"""Most open connections. With fewer, idle clients could keep others out until their time has passed."""
OTHER_FILES = 256
"""Open files that are no connections of clients: Kafka, Postgres, logs."""


def connections_max() -> int:
    """Most open connections, after raising this process's limit of open files as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS_MAX + OTHER_FILES
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return max(1, allowed - OTHER_FILES)
