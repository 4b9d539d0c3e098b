"""Keys to actions. A terminal tells presses, not releases: what a key does lasts a while. Knows nothing of ROS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from parrot.data.rosbag.verdicts import Marker
from parrot.spaces import ACTION_DIM, ACTION_NAMES

__all__ = ["HELP", "Command", "Keys", "keys_in"]

Command = Literal[Marker, "help"]
"""What a key may ask for, beside motion."""

MOVES = {
    "w": ("dx", 1), "s": ("dx", -1), "a": ("dy", 1), "d": ("dy", -1), "r": ("dz", 1), "f": ("dz", -1),
    "u": ("droll", 1), "o": ("droll", -1), "i": ("dpitch", 1), "k": ("dpitch", -1), "q": ("dyaw", 1), "e": ("dyaw", -1),
}  # fmt: skip
"""Key -> component of the action, and which way; in the base frame, where x is forward and y to the left."""

COMMANDS: dict[str, Command] = {
    "n": "start", "\r": "success", "\n": "success", "\x7f": "discard", "\x08": "discard", "x": "failure", "h": "help",
}  # fmt: skip
"""Key -> what it asks for."""

SEQUENCES = {b"[A": "w", b"[B": "s", b"[D": "a", b"[C": "d", b"[5~": "r", b"[6~": "f"}
"""What follows ESC -> the key that does the same: arrows, page up and down."""

GRIPPER_STEPS = 3
"""Control steps that the gripper needs to open or close; so long is a press of its key an action of its own."""

HELP = """\
  w s  forward, back      q e  turn left, right     space      opens and closes the gripper
  a d  left, right        u o  roll                 n          start of an episode
  r f  up, down           i k  pitch                Enter      success      x  failure
  arrows, page up and down: as w a s d r f          Backspace  discard      h  help      Ctrl-C  end"""


def keys_in(data: bytes) -> Iterator[str]:
    """The keys in what a terminal sent; sequences that mean nothing here are left out."""
    while data:
        if data[:1] == b"\x1b":
            found = next((known for known in SEQUENCES if data[1:].startswith(known)), None)
            if found is not None:
                yield SEQUENCES[found]
                data = data[1 + len(found) :]
                continue
            # ESC [ …, up to its final letter or ~; or ESC alone.
            end = next((i for i, byte in enumerate(data[2:], 3) if 0x40 <= byte <= 0x7E), len(data))
            data = data[end:] if data[1:2] in (b"[", b"O") else data[1:]
            continue
        yield chr(data[0])
        data = data[1:]


class Keys:
    """What the keyboard wants the arm to do.

    Args:
        scale: Of the first six components of the action, for a key that is held.
        hold: Seconds that a press lasts; a key that is held comes again before.
    """

    def __init__(self, scale: Sequence[float], hold: float) -> None:
        self.scale, self.hold = scale, hold
        self.gripper = 0.0
        """1 open, -1 closed, 0 as it is until the key is pressed for the first time, which closes it."""
        self._moving: dict[int, tuple[float, float]] = {}
        self._fresh: set[int] = set()
        self._gripping = 0

    def press(self, key: str, now: float) -> Command | None:
        """Takes a key, in seconds of any clock that only goes forward; what it asks for beside motion."""
        if key in MOVES:
            name, sign = MOVES[key]
            index = ACTION_NAMES.index(name)
            self._moving[index] = (sign * self.scale[index], now + self.hold)
            self._fresh.add(index)
        elif key == " ":
            self.gripper = 1.0 if self.gripper < 0 else -1.0
            self._gripping = GRIPPER_STEPS
        return COMMANDS.get(key)

    def release(self) -> None:
        """All keys are up."""
        self._moving.clear()
        self._fresh.clear()
        self._gripping = 0

    def active(self, now: float) -> bool:
        """Whether anything is asked of the arm."""
        return bool(self._fresh) or self._gripping > 0 or any(until > now for _, until in self._moving.values())

    def action(self, now: float) -> NDArray[np.float32]:
        """(7,) in [-1, 1]; even the shortest press is in one action."""
        action = np.zeros(ACTION_DIM, np.float32)
        for index, (value, until) in self._moving.items():
            if until > now or index in self._fresh:
                action[index] = value
        action[-1] = self.gripper
        self._fresh.clear()
        self._gripping = max(0, self._gripping - 1)
        return np.clip(action, -1, 1)
