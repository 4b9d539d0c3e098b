"""Whether topics that are expected to speak do, and often enough, and how full the disk is. Knows nothing of ROS."""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path

from parrot.errors import ConfigError

__all__ = ["GB", "Overview", "Watch", "expectations"]

WINDOW = 5.0
"""Seconds over which a rate is measured."""

GB = 1e9
"""Bytes in a gigabyte, as disks are sold."""

RECOVERED = 1.05
"""A topic is fast enough again at so many times the expected rate, so that one at its edge does not flicker."""


def expectations(text: str) -> dict[str, float]:
    """Topic -> least rate in Hz, 0 for any, of `camera/image 25, joint_states`.

    Raises:
        ConfigError: an entry is neither TOPIC nor TOPIC RATE.

    Example:
        >>> expectations("camera/image 25, joint_states")
        {'camera/image': 25.0, 'joint_states': 0.0}
    """
    found = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, *rate = entry.split()
        try:
            found[name] = float(*rate) if rate else 0.0
        except (TypeError, ValueError) as error:
            raise ConfigError(f"expected topic {entry!r}: write TOPIC or TOPIC RATE, separated by commas") from error
    return found


class Watch:
    """Counts one topic's messages, and says once when it falls silent or slow and once when it is back.

    Args:
        expected: It must speak; without, it is only counted.
        rate: Least messages per second; 0: any.
        silence: Seconds without a message after which it is silent.
        now: Seconds, of any clock that only goes forward.
    """

    def __init__(self, name: str, *, expected: bool, rate: float, silence: float, now: float) -> None:
        self.name, self.expected, self.least, self.silence = name, expected, rate, silence
        self.count = 0
        self.trouble = ""
        """`silent`, `slow`, or nothing."""
        self._heard_at = now
        self._looks: deque[tuple[float, int]] = deque([(now, 0)])

    def heard(self, now: float) -> None:
        """A message has come."""
        if not self.count:
            self._looks = deque([(now, 0)])  # its rate is that of what comes from now on
        self.count += 1
        self._heard_at = now

    @property
    def rate(self) -> float:
        """Messages per second over the last looks."""
        (then, before), (now, count) = self._looks[0], self._looks[-1]
        return (count - before) / (now - then) if now > then else 0.0

    def look(self, now: float) -> tuple[bool, str] | None:
        """What is new, if anything: whether it is bad, and what. To be called about once a second."""
        self._looks.append((now, self.count))
        while now - self._looks[1][0] >= WINDOW:
            self._looks.popleft()
        before, self.trouble = self.trouble, self._judge(now)
        if self.trouble == before:
            return None
        if self.trouble == "silent":
            since = f"for {now - self._heard_at:.0f} s" if self.count else "yet"
            return True, f"{self.name} is silent: no message {since}"
        if self.trouble == "slow":
            return True, f"{self.name} is slow: {self.rate:.1f} per second, at least {self.least:g} expected"
        if before == "silent":
            self._looks = deque([(now, self.count)])  # likewise
            return False, f"{self.name} is back"
        return False, f"{self.name} is fast enough again: {self.rate:.1f} per second"

    def _judge(self, now: float) -> str:
        if not self.expected:
            return ""
        if now - self._heard_at >= self.silence:
            return "silent"
        if self.trouble == "silent" or now - self._looks[0][0] < WINDOW - 1:
            return ""
        return "slow" if self.rate < self.least * (RECOVERED if self.trouble else 1) else ""


class Overview:
    """All topics of a recording, and the disk that it goes to.

    Args:
        folder: On that disk.
        topics: What is counted.
        expected: Topic -> least rate in Hz, of those that must speak.
        silence: Seconds after which one of them is silent.
        min_free_gb: Gigabytes left below which the disk is nearly full.
        now: Seconds, of any clock that only goes forward.
    """

    def __init__(
        self,
        folder: Path,
        topics: Iterable[str],
        expected: Mapping[str, float],
        silence: float,
        min_free_gb: float,
        now: float,
    ) -> None:
        self.folder, self.min_free_gb = folder, min_free_gb
        self.watches = {
            topic: Watch(topic, expected=topic in expected, rate=expected.get(topic, 0), silence=silence, now=now)
            for topic in topics
        }
        self.free = 0.0
        """Gigabytes left."""
        self._low = False

    def heard(self, topic: str, now: float) -> None:
        """A message has come."""
        self.watches[topic].heard(now)

    def look(self, now: float) -> list[tuple[str, bool, str]]:
        """What is new: of which topic, if of one, whether it is bad, and what. To be called about once a second."""
        found = [(name, *news) for name, watch in self.watches.items() if (news := watch.look(now)) is not None]
        self.free = shutil.disk_usage(self.folder).free / GB
        was_low, self._low = self._low, self.free < self.min_free_gb
        if self._low and not was_low:
            found.append(("", True, f"{self.folder}: {self.free:.1f} GB left on the disk; free some space"))
        return found

    def facts(self) -> dict[str, str]:
        """For the diagnostics."""
        rates = {f"{name} per second": f"{watch.rate:.1f}" for name, watch in self.watches.items()}
        return {"disk left": f"{self.free:.1f} GB", **rates}

    def __str__(self) -> str:
        rates = ", ".join(f"{name} {watch.rate:.1f}" for name, watch in self.watches.items() if watch.rate)
        return f"per second: {rates or 'nothing'}; {self.free:.1f} GB left on the disk"
