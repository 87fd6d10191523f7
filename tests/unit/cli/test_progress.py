"""The line of progress: its speed, and no line twice."""

from __future__ import annotations

from io import StringIO

from cli.progress import LOG_EVERY_S, ProgressLine


def test_the_progress_of_a_file_has_lines_and_a_speed() -> None:
    stream, now = StringIO(), 100.0
    progress = ProgressLine(stream, lambda: now)
    progress.show_open("import", 5_000, ", 0 refused")
    now += LOG_EVERY_S / 2
    progress.show_open("import", 7_000, ", 0 refused")
    now += LOG_EVERY_S / 2
    progress.show_open("import", 10_000, ", 1 refused")
    progress.show_open("import", 10_000, ", 1 refused", is_last=True)
    progress.end()
    assert stream.getvalue().splitlines() == [
        "import: 5,000 lines, 0 refused", "import: 10,000 lines, 1,000/s, 1 refused",
    ]  # fmt: skip
