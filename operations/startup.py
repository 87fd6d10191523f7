"""The settings of a process or a command, after everything that is made of them was made once.

A token that no header can hold, an address that libpq cannot read or an option that librdkafka does not know would
otherwise be found in the middle of the work, by each process in its own way. Here it ends every start with 64.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from runtime.settings import STATE_FOLDER, InvalidSettings, Settings, read_settings
from streams.faust_credentials import credentials
from tables.database import require_database_address
from topics.kafka_options import require_kafka_options


def usable_settings(environ: Mapping[str, str] | None = None, state_folder: Path = STATE_FOLDER) -> Settings:
    """Read the settings and build what is made of them. It connects to nothing.

    Raises InvalidSettings naming every variable and option that is wrong.
    """
    settings = read_settings(environ, state_folder)
    problems = []
    for build in (require_database_address, require_kafka_options, credentials):
        try:
            build(settings)
        except InvalidSettings as invalid:
            problems.append(str(invalid))
            if build is require_kafka_options:
                break  # Faust's credentials are made of the same options
    if problems:
        raise InvalidSettings("\n".join(problems))
    return settings
