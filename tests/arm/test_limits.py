"""Limits come from the robot's YAML, are there without it, can be widened, and cannot be switched off."""

import dataclasses
import math

import pytest
import yaml

from parrot.arm.limits import Limits
from parrot.errors import ConfigError
from parrot.resources import share
from parrot.sim.config import load_robot

LIMITS = Limits.of(load_robot("xarm6"))


def written(tmp_path, change):
    """The path of xarm6's YAML with a change to its fields."""
    fields = yaml.safe_load(share("config", "robots", "xarm6.yaml").read_text())
    change(fields)
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(fields))
    return str(path)


def test_a_robot_without_the_section_has_cautious_limits_not_none(tmp_path):
    limits = Limits.of(load_robot(written(tmp_path, lambda fields: fields.pop("safety"))))
    assert limits.linear_speed == 0.25
    assert limits.joint_speed == 1.0
    assert limits.upper == LIMITS.upper
    for name in ("step_translation", "step_rotation", "linear_speed", "angular_speed", "joint_speed"):
        assert getattr(limits, name) < getattr(LIMITS, name)


def test_one_limit_is_widened_and_the_others_stay(tmp_path):
    def change(fields):
        fields["safety"]["speed"]["linear"] = 1.0

    limits = Limits.of(load_robot(written(tmp_path, change)))
    assert limits == dataclasses.replace(LIMITS, linear_speed=1.0)


NUMBERS = [f.name for f in dataclasses.fields(Limits) if f.name not in ("lower", "upper", "gripper")]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [None, 0, 0.0, -1, math.inf, -math.inf, math.nan, 1e9, "1", True, [1.0]])
def test_no_limit_is_switched_off(name, value):
    with pytest.raises(ConfigError, match=rf"safety limit {name} is .*; it cannot be switched off: give") as error:
        dataclasses.replace(LIMITS, **{name: value})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [None, math.inf, math.nan, -2.0, 9.0, "1"])
@pytest.mark.parametrize("corner", ["lower", "upper"])
@pytest.mark.parametrize("axis", range(6))
def test_no_side_of_the_workspace_is_left_open(corner, axis, value):
    place = list(getattr(LIMITS, corner))
    place[axis] = value
    if corner == "lower" and value == -2.0 and axis == 5:
        return  # a turn by 2 radians is no open side
    with pytest.raises(ConfigError, match=r"workspace (x|y|z|roll|pitch|yaw) from") as error:
        dataclasses.replace(LIMITS, **{corner: tuple(place)})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [(), (0.0,), (0.5, 0.5), (1.0, 0.0), (-1.0, 1.0), (0.0, math.nan), (0.0, 2.0)])
def test_the_gripper_has_a_range(value):
    with pytest.raises(ConfigError, match="safety limit gripper is"):
        dataclasses.replace(LIMITS, gripper=value)


def test_a_watchdog_counts_whole_periods():
    with pytest.raises(ConfigError, match=r"watchdog is 2\.5"):
        dataclasses.replace(LIMITS, watchdog=2.5)


@pytest.mark.parametrize(
    ("section", "value", "message"),
    [
        ("safety", {"speed": {"linear": None}}, "linear: expected float, found None"),
        ("safety", {"speed": {"liner": 1.0}}, "unknown liner; the fields are linear, angular, joint"),
        ("safety", {"enabled": False}, "unknown enabled"),
        ("safety", {"ramp": "never"}, "ramp: expected float, found 'never'"),
        ("safety", None, "expected fields, found None"),
        ("safety", {"watchdog": 0}, r"robot xarm6: safety limit watchdog is 0; it cannot be switched off"),
        ("safety", {"speed": {"joint": math.inf}}, r"robot xarm6: safety limit joint_speed is inf"),
        ("safety", {"joints": {"joint9": [0, 1]}}, "joints names 'joint9'; the arm's joints are joint1, joint2"),
        ("safety", {"joints": {"joint5": [1, 0.5]}}, r"joint5 is \[1, 0.5\]; give two numbers, rad, the lower first"),
        ("safety", {"joints": {"joint5": [0, math.inf]}}, "joint5 is .*; give two numbers"),
        ("control_hz", 0.0, "control_hz is 0.0"),
        ("workspace", {"lower": [0, 0], "upper": [1, 1], "tilt": 0.3, "yaw": 1.0}, "give x, y, z of both corners"),
        ("driver", {"kind": "telepathy", "command": "/c"}, "expected one of joint_trajectory, servo"),
        ("camera", {"hz": 30.0}, "missing topic"),
        ("camera", {"topic": "/c", "crop": [0.1, 0.2]}, "expected a list of 4"),
    ],
)
def test_a_mistake_in_the_yaml_is_one_line(tmp_path, section, value, message):
    path = written(tmp_path, lambda fields: fields.update({section: value}))
    with pytest.raises(ConfigError, match=message) as error:
        Limits.of(load_robot(path))
    assert "\n" not in str(error.value)
