"""Where a run stands, for live tables and progress bars."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["WINDOW", "Status"]

WINDOW = 50
"""Episodes over which the success rate is reported."""


@dataclass(frozen=True)
class Status:
    """Where a run stands, for the live table."""

    phase: str
    """`before`, `train`, `probe`, `after` or `done`."""
    episode: int
    """Episodes finished in this phase."""
    episodes: int
    """Most episodes that this phase may have."""
    success: float
    """Success over the last 50 episodes of this phase; NaN before the first."""
    success_before: float
    """Success before learning; NaN before the first episode."""
    env_steps: int
    """Environment steps so far."""
    steps_per_second: float
    """Environment steps each second, of late."""
    updates: int
    """Gradient updates so far."""
    updates_per_second: float
    """Gradient updates each second, of late."""
    seconds: float
    """Wall-clock time of the run so far."""
    seconds_left: float
    """Most that is left of the budget, the evaluation at the end included."""
    successes: int
    """Successful episodes in the replay."""
    losses: dict[str, float] = field(default_factory=dict)
    """The learner's latest figures."""
