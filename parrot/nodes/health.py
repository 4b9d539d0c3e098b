"""What a node knows about itself: counts of what happened and how long things took, for /diagnostics."""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque

import numpy as np

__all__ = ["ERROR", "OK", "WARN", "Health"]

OK, WARN, ERROR = 0, 1, 2
"""Levels of diagnostic_msgs/DiagnosticStatus."""

RECENT = 200
"""Durations kept of each kind."""

SHOWN_FOR = 5.0
"""Seconds that a warning or an error stays the node's level."""


class Health:
    """Counts, durations and the latest trouble of one node."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.durations: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=RECENT))
        self.facts: dict[str, str] = {}
        """What else the node wants shown, e.g. whether it is paused."""
        self._trouble = (OK, "", -SHOWN_FOR)
        self._previous = (time.monotonic(), Counter[str]())

    def count(self, what: str) -> int:
        """Counts one more of these; how many there were in all."""
        self.counts[what] += 1
        return self.counts[what]

    def took(self, what: str, seconds: float) -> None:
        """Notes how long something took."""
        self.durations[what].append(seconds)

    def trouble(self, level: int, message: str) -> None:
        """Notes a warning or an error; it is the node's level for a few seconds."""
        self._trouble = (level, message, time.monotonic())

    def level(self) -> tuple[int, str]:
        """The node's level, and why."""
        level, message, when = self._trouble
        return (level, message) if time.monotonic() - when < SHOWN_FOR else (OK, "running")

    def values(self) -> dict[str, str]:
        """Counts, their rates since the last call, and the median and 95th percentile of each duration."""
        now, (then, before) = time.monotonic(), self._previous
        self._previous = (now, self.counts.copy())
        found = dict(self.facts)
        for what, count in sorted(self.counts.items()):
            found[what] = str(count)
            found[f"{what} per second"] = f"{(count - before[what]) / max(now - then, 1e-9):.1f}"
        for what, seconds in sorted(self.durations.items()):
            median, slow = 1000 * np.percentile(np.array(seconds), (50, 95))
            found[f"{what}, median and 95% in ms"] = f"{median:.2f} {slow:.2f}"
        return found
