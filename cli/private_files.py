"""Files that a command writes and that have phone numbers in them: only their owner may read them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from operations.options import InvalidOptions

FILE_MODE = 0o600


def new_private_file(path: Path) -> BinaryIO:
    """A new file. Raises InvalidOptions if it exists or cannot be written."""
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "wb")
    except OSError as error:
        raise unwritable(path, error) from None


def unwritable(path: Path, error: OSError) -> InvalidOptions:
    """The refusal of a file that cannot be written."""
    return InvalidOptions(f"{path} cannot be written: {error.strerror}.")
