"""The seventh number says what the gripper was told at each step, from whatever topic the lab's gripper has."""

import numpy as np
import pytest
from motion_messages import PERIOD, ROBOT, START, T, borders, joint_state
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from parrot.data.rosbag.actions import make_source
from parrot.errors import ConfigError


def number(kind):
    return lambda value: T[kind](data=(kind.endswith("Bool") and bool(value)) or value)


LAB = get_typestore(Stores.ROS2_JAZZY)
LAB.register(get_types_from_msg("float64 position\nfloat64 max_effort", "control_msgs/msg/GripperCommand"))
LAB.register(get_types_from_msg("control_msgs/GripperCommand command", "lab_msgs/msg/Stamped"))
"""Types that ROS itself does not have: a bag brings them along."""


def command(value):
    return LAB.types["control_msgs/msg/GripperCommand"](position=value, max_effort=1.0)


def nested(value):
    return LAB.types["lab_msgs/msg/Stamped"](command=command(value))


def source(**gripper):
    options = {"topic": "/grip", "open": 1, "closed": 0, **gripper}
    return make_source({"from": "twist", "topic": "/twist", "gripper": options}, ROBOT)


def commands(made, samples, steps):
    """`samples`: (when, in steps; message)."""
    for when, message in samples:
        made.feed("/grip", message, START + round(when * PERIOD))
    return made.actions(borders(steps)).actions[:, 6].tolist()


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (number("std_msgs/msg/Float64"), {}),
        (number("std_msgs/msg/Float32"), {}),
        (number("std_msgs/msg/Bool"), {}),
        (number("std_msgs/msg/Float64"), {"field": "data"}),
        (command, {}),
        (nested, {}),
        (lambda value: joint_state(0, ["finger"], [value]), {}),
        (lambda value: joint_state(0, ["joint1", "finger"], [9.0, value]), {"joint": "finger"}),
        (lambda value: joint_state(0, ["joint1", "finger"], [9.0, value]), {"field": "position.1"}),
    ],
)
def test_a_command_is_the_action_of_the_step_that_it_comes_in(make, options):
    samples = [(0.0, make(1.0)), (2.5, make(0.0)), (4.0, make(1.0))]
    # A command at the very border belongs to the step that begins there.
    assert commands(source(**options), samples, 6) == [1, 1, -1, -1, 1, 1]


def test_before_the_first_message_nothing_is_commanded_unless_the_state_is_known():
    closing = [(2.5, joint_state(0, ["finger"], [0.0]))]
    assert commands(source(), closing, 4) == [0, 0, -1, -1]
    assert commands(source(initial="open"), closing, 4) == [1, 1, -1, -1]
    assert commands(source(initial="closed"), [], 2) == [-1, -1]


def test_positions_count_by_how_far_open_they_are_and_between_the_thresholds_nothing_changes():
    # A gripper of 0 m open to 0.04 m closed that closes on an object, slowly, and opens again.
    positions = [0.0, 0.006, 0.010, 0.014, 0.018, 0.018, 0.014, 0.010, 0.006, 0.0]
    samples = [(i, joint_state(0, ["finger"], [x])) for i, x in enumerate(positions)]
    made = source(open=0.0, closed=0.04)
    assert commands(made, samples, 10) == [1, 1, 1, 1, -1, -1, -1, -1, 1, 1]
    made = source(open=0.0, closed=0.04, closed_below=0.8)
    assert commands(made, samples, 10) == [1, 1, -1, -1, -1, -1, -1, -1, 1, 1]


def test_what_is_not_finite_changes_nothing():
    samples = [(0, joint_state(0, ["finger"], [0.0])), (1, joint_state(0, ["finger"], [np.nan]))]
    made = source()
    assert commands(made, samples, 3) == [-1, -1, -1]
    assert made.dropped == {"/grip: not finite": 1}


def test_messages_of_other_joints_are_passed_over():
    samples = [(0, joint_state(0, ["arm", "finger"], [5.0, 0.0])), (1, joint_state(0, ["arm"], [5.0]))]
    assert commands(source(joint="finger"), samples, 3) == [-1, -1, -1]


def test_the_state_outlives_what_is_forgotten():
    made = source()
    half = joint_state(0, ["finger"], [0.7])  # between the thresholds: says nothing by itself
    assert commands(made, [(0, joint_state(0, ["finger"], [0.0])), (1, half), (2, half), (3, half)], 4) == [-1] * 4
    made.forget(START + 4 * PERIOD)
    assert made.actions(borders(6)[4:]).actions[:, 6].tolist() == [-1, -1]
    made.forget()
    assert made.actions(borders(1)).actions[:, 6].tolist() == [0]


def test_the_joints_topic_can_be_the_grippers_too():
    gripper = {"topic": "/joint_states", "joint": "finger", "open": 0.0, "closed": 0.04}
    made = make_source({"from": "joint_states", "gripper": gripper}, ROBOT)
    assert made.topics == ("/joint_states",)
    names = [*ROBOT.arm_joints, "finger"]
    for time in borders(2):
        made.feed("/joint_states", joint_state(time, names, [*ROBOT.home.joints, 0.04]), int(time))
    np.testing.assert_allclose(made.actions(borders(2)).actions, [[0, 0, 0, 0, 0, 0, -1]] * 2, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"open": 0}, "open and closed are both 0"),
        ({"closed_below": 0.9}, "closed_below 0.9 is above open_above 0.8"),
        ({"initial": "half"}, "initial: expected one of open, closed, keep, found 'half'"),
        ({"width": 1}, "unknown width"),
        ({"open": "wide"}, "open: expected float, found 'wide'"),
    ],
)
def test_a_wrong_setting_is_one_line(options, message):
    with pytest.raises(ConfigError, match=message):
        source(**options)


@pytest.mark.parametrize(
    ("options", "value", "message"),
    [
        ({}, joint_state(0, ["a", "b"], [0, 0]), "has the joints a, b; name one as joint"),
        (
            {"field": "width"},
            joint_state(0, ["a"], [0]),
            r"JointState on /grip has no number width; it has header, name",
        ),
        ({}, T["std_msgs/msg/Header"](stamp=T["builtin_interfaces/msg/Time"](1, 2), frame_id=""), "name it as field"),
        ({}, T["std_msgs/msg/String"](data="open"), "has no number data"),
    ],
)
def test_a_message_without_its_number_is_one_line(options, value, message):
    with pytest.raises(ConfigError, match=message) as error:
        source(**options).feed("/grip", value, START)
    assert "\n" not in str(error.value)
