"""How well a control loop keeps its time: from image to command, and missed periods. It knows nothing of ROS."""

from __future__ import annotations

import time
from collections import Counter, deque
from pathlib import Path

import numpy as np

from parrot.durable import disk_errors
from parrot.errors import RunError

__all__ = ["COLUMNS", "COMMAND", "MISSED", "NO_ACTION", "NO_PICTURE", "PERIOD", "Timing"]

COLUMNS = ("seconds", "event", "milliseconds")
"""Of the file: seconds of the monotonic clock; an event below; how long it took or how late it was."""

PERIOD, COMMAND = "period", "command"
"""A control period began, so late; an image was answered by a command on the wire, after so long."""

MISSED, NO_ACTION, NO_PICTURE = "missed periods", "periods without an action", "periods without a new picture"
"""A period that began more than half a period late; at which the image had no action yet; for which there was none."""

RECENT = 6000
"""Latencies kept: ten minutes at 10 Hz."""


class Timing:
    """Notes each period and each command, and keeps them in a CSV file if there is to be one.

    Args:
        period: Seconds of a control period.
        path: The file, which is replaced; None: none.

    Raises:
        RunError: the file cannot be written.
    """

    def __init__(self, period: float, path: Path | None = None) -> None:
        self._period, self._path = period, path
        self._began_at = time.monotonic()
        self._latencies: deque[float] = deque(maxlen=RECENT)
        self._lines = [",".join(COLUMNS)]
        self.counts: Counter[str] = Counter()
        """Missed periods, by kind."""
        if path is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"")
            except OSError as error:
                raise RunError(f"timing {path}: cannot be written ({error.strerror}); name another file") from error

    def began(self, now: float) -> float:
        """A control period begins; how many seconds late."""
        late = max(0.0, now - self._began_at - self._period)
        self._began_at = now
        self._note(now, PERIOD, late)
        if late > self._period / 2:
            self.missed(MISSED, now, late)
        return late

    def missed(self, kind: str, now: float, seconds: float = 0.0) -> None:
        """A period was missed, in one of the ways above."""
        self.counts[kind] += 1
        self._note(now, kind, seconds)

    def commanded(self, shown_at: float, now: float) -> None:
        """The command that answers the image of that moment is on the wire."""
        self._latencies.append(now - shown_at)
        self._note(now, COMMAND, now - shown_at)

    def percentiles(self) -> str:
        """Median, 99th percentile and maximum of the latencies of late, in milliseconds; empty if there are none."""
        if not self._latencies:
            return ""
        return " ".join(f"{1000 * value:.1f}" for value in np.percentile(np.array(self._latencies), (50, 99, 100)))

    def _note(self, now: float, event: str, seconds: float) -> None:
        if self._path is not None:
            self._lines.append(f"{now:.4f},{event},{1000 * seconds:.3f}")

    def flush(self) -> None:
        """Writes what was noted. To be called when nothing is urgent.

        Raises:
            RunError: the disk is full.
        """
        if self._path is not None and self._lines:
            lines, self._lines = self._lines, []
            with disk_errors(self._path), open(self._path, "a") as file:
                file.write("".join(f"{line}\n" for line in lines))
