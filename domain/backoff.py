"""How long to wait: plain arithmetic on seconds. The caller counts the tries."""

from __future__ import annotations

DAY_S = 86_400


def exponential(tries: int, *, base_s: float, factor: float = 2.0, cap_s: float) -> float:
    """The wait after the `tries`-th try (1 is the first): base, base x factor, ... up to the cap."""
    steps = min(max(tries, 1) - 1, 64)  # every cap is reached by then, and a float would overflow later
    return float(min(cap_s, base_s * factor**steps))


def scaled_s(seconds: float, time_scale: float) -> int:
    """Whole seconds after division by the time scale of demo and tests, and never less than one."""
    return max(1, round(seconds / time_scale))
