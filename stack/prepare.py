"""`python -m stack.prepare`: all downloads and first-time work of the embedded stack, for `make setup`."""

from __future__ import annotations

import sys

from stack.embedded import prepare, progress
from stack.places import StackUnavailable


def main() -> None:
    """Prepare, or print one line with the reason of the failure."""
    try:
        prepare(progress(sys.stderr.isatty()))
    except StackUnavailable as error:
        sys.exit(f"setup: {error}")


if __name__ == "__main__":
    main()
