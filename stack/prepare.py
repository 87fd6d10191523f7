"""`python -m stack.prepare`: does the downloads and other one-time work of the embedded stack, for `make setup`."""

from __future__ import annotations

import sys

from stack.embedded import prepare, progress
from stack.environment import StackUnavailable


def main() -> None:
    """Prepare the stack. A failure ends the process with one line that gives the reason."""
    try:
        prepare(progress(sys.stderr.isatty()))
    except StackUnavailable as error:
        sys.exit(f"setup: {error}")


if __name__ == "__main__":
    main()
