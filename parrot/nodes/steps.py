"""Which messages of the loop are new, and which control steps are complete. It knows nothing of ROS."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Steps", "stamp_in"]

STAMP = slice(4, 12)
"""Seconds and nanoseconds of the header's stamp, the first field, after the four bytes that name the encoding."""

KEPT = 1000
"""Steps kept book of at most; without outcomes none is ever complete."""


def stamp_in(data: bytes) -> bytes:
    """The stamp of a serialised message that begins with a header."""
    return data[STAMP]


class Steps:
    """Keeps book of the moments whose messages have not all come.

    Args:
        topics: What every step has.
    """

    def __init__(self, topics: Sequence[str]) -> None:
        self.topics = topics
        self._latest: dict[str, bytes] = {}
        self._lacking: dict[bytes, set[str]] = {}

    def is_new(self, topic: str, data: bytes) -> bool:
        """Whether the message is not the topic's last one said again; without a stamp there is no telling."""
        stamp = stamp_in(data)
        if self._latest.get(topic) == stamp and any(stamp):
            return False
        self._latest[topic] = stamp
        if topic in self.topics:
            self._note(stamp, topic)
        return True

    def _note(self, stamp: bytes, topic: str) -> None:
        lacking = self._lacking.setdefault(stamp, set(self.topics))
        lacking.discard(topic)
        if not lacking:
            del self._lacking[stamp]
        elif len(self._lacking) > KEPT:
            del self._lacking[next(iter(self._lacking))]

    def is_complete(self, stamp: bytes) -> bool:
        """Whether all messages of this step have come; it must have had one."""
        return stamp not in self._lacking

    @property
    def incomplete(self) -> int:
        """Steps that lack a message."""
        return len(self._lacking)
