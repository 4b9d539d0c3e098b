"""Keys to actions, without a terminal and without waiting."""

from __future__ import annotations

import numpy as np
import pytest

from parrot.nodes.keyboard import GRIPPER_STEPS, Keys, keys_in
from parrot.spaces import ACTION_NAMES


@pytest.fixture
def keys() -> Keys:
    return Keys([1, 1, 0.5, 1, 1, -1], hold=0.15)


def named(action) -> dict[str, float]:
    return {name: float(value) for name, value in zip(ACTION_NAMES, action, strict=True) if value}


@pytest.mark.parametrize(
    ("key", "motion"),
    [
        ("w", {"dx": 1}), ("s", {"dx": -1}), ("a", {"dy": 1}), ("d", {"dy": -1}), ("r", {"dz": 0.5}),
        ("f", {"dz": -0.5}), ("q", {"dyaw": -1}), ("e", {"dyaw": 1}), ("u", {"droll": 1}), ("k", {"dpitch": -1}),
    ],
)  # fmt: skip
def test_a_key_moves_along_its_axis_at_its_scale(keys, key, motion):
    assert keys.press(key, 0.0) is None
    assert named(keys.action(0.0)) == motion


def test_a_held_key_goes_on_and_a_released_one_stops(keys):
    for moment in np.arange(0, 1, 0.033):
        keys.press("w", moment)
        assert keys.active(moment) and named(keys.action(moment)) == {"dx": 1}
    assert named(keys.action(1.1)) == {"dx": 1}
    assert not keys.active(1.2)
    assert named(keys.action(1.2)) == {}


def test_a_tap_between_two_actions_is_in_the_next_one_and_in_no_other(keys):
    keys.press("w", 0.0)
    assert keys.active(0.9)
    assert named(keys.action(0.9)) == {"dx": 1}
    assert named(keys.action(1.0)) == {}


def test_two_keys_move_along_two_axes_and_the_last_one_of_an_axis_counts(keys):
    for key in "wsd":
        keys.press(key, 0.0)
    assert named(keys.action(0.05)) == {"dx": -1, "dy": -1}


def test_space_closes_first_then_opens_and_the_gripper_stays(keys):
    assert keys.action(0.0)[-1] == 0
    keys.press(" ", 0.0)
    for step in range(GRIPPER_STEPS):
        assert keys.active(1.0 + step)
        assert keys.action(1.0 + step)[-1] == -1
    assert not keys.active(9.0)
    keys.press("w", 9.0)
    assert named(keys.action(9.0)) == {"dx": 1, "gripper": -1}
    keys.press(" ", 10.0)
    assert keys.action(10.0)[-1] == 1


def test_commands_and_keys_without_a_meaning(keys):
    asked = [keys.press(key, 0.0) for key in "n\r\nx\x7f\x08hz!7"]
    assert asked == ["start", "success", "success", "failure", "discard", "discard", "help", None, None, None]
    assert not keys.active(0.0)


def test_release_stops_everything_but_the_grip(keys):
    keys.press("w", 0.0)
    keys.press(" ", 0.0)
    keys.release()
    assert not keys.active(0.0)
    assert named(keys.action(0.0)) == {"gripper": -1}


@pytest.mark.parametrize(
    ("sent", "keys_meant"),
    [
        (b"wsd", "wsd"),
        (b"\x1b[A\x1b[Bq\x1b[C\x1b[D", "wsqda"),
        (b"\x1b[5~\x1b[6~", "rf"),
        (b"\x1b[1;5Cw\x1bOPs\x1b[24~\x1b", "ws"),  # Ctrl-arrow, F1, F12 and ESC mean nothing
        ("wäs".encode(), "wÃ¤s"),
    ],
)
def test_what_a_terminal_sends_is_taken_apart(sent, keys_meant):
    assert "".join(keys_in(sent)) == keys_meant
