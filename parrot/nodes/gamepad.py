"""Axes and buttons of a gamepad to actions; without its deadman button pressed the arm holds. Knows nothing of ROS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from parrot.data.rosbag.verdicts import Marker
from parrot.errors import ConfigError
from parrot.spaces import ACTION_DIM

__all__ = ["Gamepad", "numbers_in"]

MOTIONS = ACTION_DIM - 1
"""Components of the action that axes drive."""


def numbers_in(text: str, what: str) -> list[float]:
    """Six numbers, one for each motion.

    Raises:
        ConfigError: they are not.
    """
    try:
        found = [float(word) for word in text.replace(",", " ").split()]
    except ValueError as error:
        raise ConfigError(f"{what} {text!r}: write {MOTIONS} numbers, for dx dy dz droll dpitch dyaw") from error
    if len(found) != MOTIONS:
        raise ConfigError(f"{what} {text!r} has {len(found)} numbers; write {MOTIONS}, for dx dy dz droll dpitch dyaw")
    return found


class Gamepad:
    """What the gamepad wants the arm to do.

    Args:
        axes: Index of the axis for each motion; negative: none.
        scale: Of each motion at full deflection.
        deadzone: Deflection below which a stick is at rest.
        deadman: Index of the button without which nothing moves.
        gripper: Index of the button that closes and opens the gripper.
        markers: Marker -> index of its button; negative: none.
        timeout: Seconds without a message after which everything counts as released.
    """

    def __init__(
        self,
        axes: Sequence[int],
        scale: Sequence[float],
        deadzone: float,
        deadman: int,
        gripper: int,
        markers: Mapping[Marker, int],
        timeout: float,
    ) -> None:
        self.axes, self.scale, self.deadzone = axes, scale, deadzone
        self.deadman, self.gripper_button, self.markers, self.timeout = deadman, gripper, markers, timeout
        self.gripper = 0.0
        """1 open, -1 closed, 0 as it is until the button is pressed for the first time, which closes it."""
        self._deflections: Sequence[float] = ()
        self._buttons: Sequence[int] = ()
        self._heard_at = -timeout

    def heard(self, axes: Sequence[float], buttons: Sequence[int], now: float) -> list[Marker]:
        """Takes a message; the markers whose buttons have just been pressed."""
        before, self._buttons = self._buttons, buttons
        self._deflections, self._heard_at = axes, now

        def pressed(index: int) -> bool:
            return _at(buttons, index) and not _at(before, index)

        if pressed(self.gripper_button) and _at(buttons, self.deadman):
            self.gripper = 1.0 if self.gripper < 0 else -1.0
        return [marker for marker, index in self.markers.items() if pressed(index)]

    def release(self) -> None:
        """Everything is let go, until the next message."""
        self._deflections, self._buttons = (), ()

    def active(self, now: float) -> bool:
        """Whether the deadman button is pressed, as far as is known."""
        return now - self._heard_at < self.timeout and _at(self._buttons, self.deadman)

    def action(self, now: float) -> NDArray[np.float32]:
        """(7,) in [-1, 1]; no motion, and the gripper as it is, without the deadman button."""
        action = np.zeros(ACTION_DIM, np.float32)
        if not self.active(now):
            return action
        for motion, (axis, scale) in enumerate(zip(self.axes, self.scale, strict=True)):
            if 0 <= axis < len(self._deflections) and abs(self._deflections[axis]) > self.deadzone:
                action[motion] = scale * self._deflections[axis]
        action[-1] = self.gripper
        return np.clip(action, -1, 1)


def _at(buttons: Sequence[int], index: int) -> bool:
    return 0 <= index < len(buttons) and bool(buttons[index])
