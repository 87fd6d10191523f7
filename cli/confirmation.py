"""The one convention of commands that change data: they show the change, ask on a terminal, and then act.

`--yes` acts without a question, and `--dry-run` only shows the change. Without a terminal nobody can answer, so without
`--yes` nothing is done, and the exit code is 64. A stop of a named campaign is the exception: it acts at once.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from cli.console import note, printable
from runtime.process import EXIT_OK, EXIT_USAGE

EXIT_DECLINED = 1
"""The exit code if the operator answers a question with no."""
_YES = frozenset({"y", "yes"})


@dataclass(frozen=True, slots=True)
class Consent:
    """What the operator has permitted on the command line."""

    is_given: bool = False
    """`--yes`"""
    is_dry: bool = False
    """`--dry-run`. It wins over `--yes`."""

    @property
    def may_act_at_once(self) -> bool:
        """Whether nothing needs to be shown first."""
        return self.is_given and not self.is_dry


def decline(consent: Consent, change: str) -> int | None:
    """None if the command may act, else its exit code; the reason is then on stderr.

    `change` completes the sentence "This will ...", such as "resume the campaign a". It may have several lines.
    """
    shown = "\n".join(printable(line) for line in change.splitlines()).rstrip(".")
    if consent.is_dry:
        note(f"This would {shown}. Nothing was done, because of --dry-run.")
        return EXIT_OK
    if consent.is_given:
        return None
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        note(
            f"This would {shown}. Nothing was done: there is no terminal on which to ask. "
            "To act, add --yes. To only see the change, add --dry-run."
        )
        return EXIT_USAGE
    if _answer(f"This will {shown}. Continue? [y/N] ") in _YES:
        return None
    note("Nothing was done.")
    return EXIT_DECLINED


def _answer(question: str) -> str:
    """The line that the operator types. The question goes to stderr, because stdout may be a pipe."""
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower()
