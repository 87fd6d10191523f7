"""The size of the sender's batches."""

import pytest

from streams.sender.process import BATCH_MAX, BATCH_MIN, batch_max


@pytest.mark.parametrize(
    ("rate", "expected"), [(0.5, BATCH_MIN), (80, BATCH_MIN), (300.7, 300), (1000, BATCH_MAX), (5000, BATCH_MAX)]
)
def test_a_batch_has_the_jobs_of_a_second_within_limits(rate: float, expected: int) -> None:
    assert batch_max(rate) == expected
