"""Gamepad to actions: nothing without the deadman button."""

from __future__ import annotations

import numpy as np
import pytest

from parrot.errors import ConfigError
from parrot.nodes.gamepad import Gamepad, numbers_in
from parrot.spaces import ACTION_NAMES

DEADMAN, GRIPPER, SUCCESS = 1, 0, 3


@pytest.fixture
def pad() -> Gamepad:
    markers = {"success": SUCCESS, "discard": -1}
    return Gamepad([1, 0, 4, -1, -1, 9], [1, 1, 0.5, 1, 1, 1], 0.1, DEADMAN, GRIPPER, markers, timeout=0.5)


def hear(pad, now, axes=(0, 0, 0, 0, 0), pressed=()):
    return pad.heard(list(axes), [int(index in pressed) for index in range(5)], now)


def named(action) -> dict[str, float]:
    return {name: float(value) for name, value in zip(ACTION_NAMES, action, strict=True) if value}


def test_sticks_move_the_arm_only_while_the_deadman_button_is_pressed(pad):
    axes = (0.5, -1.0, 0, 0, 0.8)
    hear(pad, 0.0, axes)
    assert not pad.active(0.0)
    assert named(pad.action(0.0)) == {}
    hear(pad, 0.1, axes, {DEADMAN})
    assert pad.active(0.1)
    assert named(pad.action(0.1)) == {"dx": -1.0, "dy": 0.5, "dz": np.float32(0.4)}
    hear(pad, 0.2, axes)
    assert named(pad.action(0.2)) == {}


def test_a_gamepad_that_falls_silent_is_let_go(pad):
    hear(pad, 0.0, (1, 1, 0, 0, 0), {DEADMAN})
    assert named(pad.action(0.4)) == {"dx": 1, "dy": 1}
    assert not pad.active(0.6)
    assert named(pad.action(0.6)) == {}


def test_a_stick_at_rest_is_no_motion(pad):
    hear(pad, 0.0, (0.09, -0.05, 0, 0, 0), {DEADMAN})
    assert named(pad.action(0.0)) == {}


def test_the_gripper_toggles_once_for_each_press_and_only_with_the_deadman_button(pad):
    hear(pad, 0.0, pressed={GRIPPER})
    hear(pad, 0.1, pressed={DEADMAN})
    assert pad.action(0.1)[-1] == 0
    seen = []
    for now, pressed in enumerate([{DEADMAN, GRIPPER}, {DEADMAN, GRIPPER}, {DEADMAN}, {DEADMAN, GRIPPER}]):
        hear(pad, float(now), pressed=pressed)
        seen.append(pad.action(float(now))[-1])
    assert seen == [-1, -1, -1, 1]


def test_a_marker_is_told_once_for_each_press(pad):
    told = [hear(pad, 0.0, pressed=pressed) for pressed in (set(), {SUCCESS}, {SUCCESS}, set(), {SUCCESS})]
    assert told == [[], ["success"], [], [], ["success"]]


@pytest.mark.parametrize(("text", "reason"), [("1 2 3", "has 3 numbers; write 6"), ("1 0 4 a b 3", "write 6 numbers")])
def test_axes_that_cannot_be_read_are_named(text, reason):
    with pytest.raises(ConfigError, match=reason):
        numbers_in(text, "axes")
