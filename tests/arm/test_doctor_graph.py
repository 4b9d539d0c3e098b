"""The doctor's checks of driver, gripper, clocks and the rest: what is healthy passes, each fault is named."""

from __future__ import annotations

from dataclasses import replace

import pytest
from doctor_rig import (
    COMMAND,
    GRIPPER,
    HOME,
    NOW,
    ROBOT,
    STATES,
    TRAJECTORY,
    found,
    healthy,
    joints_at,
    pictures,
    troubles,
    with_topic,
)  # fmt: skip
from hypothesis import given, settings
from hypothesis import strategies as st

from parrot.arm.doctor.clock import check_clocks
from parrot.arm.doctor.graph import check_estop
from parrot.arm.doctor.seen import Endpoint, JointSample, Seen, Topic
from parrot.sim.config import load_robot

SET_BOOL = "std_srvs/srv/SetBool"


def test_a_healthy_graph_is_in_order():
    assert troubles(healthy()) == set()


def test_an_empty_graph_fails_in_all_that_must_be_there():
    assert {(subject, thing) for level, subject, thing in troubles(Seen(4.0)) if level == "failure"} == {
        ("driver", "commands"), ("joint states", "topic"), ("camera", "topic"), ("gripper", "commands"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("topic", "words"),
    [
        (Topic(), "nobody hears it"),
        (Topic((), (Endpoint("driver", "geometry_msgs/msg/TwistStamped"),)), "TwistStamped, not trajectory"),
        (Topic((Endpoint("joystick", TRAJECTORY),), (Endpoint("driver", TRAJECTORY),)), "joystick publishes"),
    ],
)
@pytest.mark.parametrize(("subject", "name"), [("driver", COMMAND), ("gripper", GRIPPER)])
def test_commands_are_heard_as_they_are_meant_and_come_from_nobody_else(subject, name, topic, words):
    finding = found(with_topic(name, topic), subject, "commands")
    assert finding.level == "failure"
    assert words in finding.value


def test_arm_node_itself_may_command():
    both = Topic((Endpoint("arm_node", TRAJECTORY),), (Endpoint("driver", TRAJECTORY),))
    assert found(with_topic(COMMAND, both), "driver", "commands").level == "ok"


def test_messages_that_are_not_installed_say_where_to_get_them():
    pytest.importorskip("trajectory_msgs")
    finding = found(healthy(), "driver", "message types", load_robot("wx250s"))
    assert finding.level == "failure"
    assert "interbotix_xs_msgs" in finding.value
    assert "github.com/Interbotix" in finding.remedy


def test_services_of_a_driver_must_be_there_with_their_types():
    wx250s, name = load_robot("wx250s"), "/wx250s/set_motor_registers"
    assert found(healthy(), "driver", "service", wx250s).level == "failure"
    wrong = healthy(services={name: ("std_srvs/srv/Trigger",)})
    assert "not interbotix" in found(wrong, "driver", "service", wx250s).value
    right = healthy(services={name: ("interbotix_xs_msgs/srv/RegisterValues",)})
    assert found(right, "driver", "service", wx250s).level == "ok"


def test_a_gripper_whose_joint_nobody_tells_of_is_a_warning():
    names = (*ROBOT.arm_joints, "a", "b")
    seen = healthy(joints=joints_at([HOME] * 200, names=names))
    assert found(seen, "gripper", "joint").level == "warning"
    without = replace(ROBOT, driver=replace(ROBOT.driver, gripper=None))
    assert found(healthy(), "gripper", "commands", without).level == "warning"


def test_a_simulated_clock_is_a_failure():
    seen = with_topic("/clock", Topic((Endpoint("gazebo", "rosgraph_msgs/msg/Clock"),)))
    assert troubles(seen) == {("failure", "clock", "/clock")}


@settings(deadline=None)
@given(st.floats(-7200, 7200))
def test_ages_are_judged_by_their_size_either_way(age: float):
    wall = NOW + 10**13
    seen = Seen(1.0, joints=(JointSample(0.0, wall, wall - int(age * 1e9), (), ()),))
    (finding,) = check_clocks(seen)
    expected = "failure" if abs(age) > 0.5 else "ok" if -0.02 <= age <= 0.15 else "warning"
    assert finding.level == expected
    if expected == "failure":
        assert ("future" in finding.value) == (age < 0)


def test_both_clocks_are_judged_and_messages_without_stamps_told():
    assert troubles(healthy(pictures=pictures(age=-3600.0))) == {("failure", "clock", "age of camera")}
    late = healthy(joints=joints_at([HOME] * 200, age=0.3))
    assert troubles(late) == {("warning", "clock", "age of joint states")}
    assert troubles(healthy(pictures=pictures(stamp=0))) == {("warning", "clock", "age of camera")}


def test_a_clock_that_jumps_while_we_look_is_a_failure():
    before, after = joints_at([HOME] * 100), joints_at([HOME] * 200, age=-3600.0)[100:]
    assert ("failure", "clock", "age of joint states") in troubles(healthy(joints=before + after))


def test_the_estop_must_be_there_and_open_where_arm_node_is_up():
    heard = {"/estop": Topic((), (Endpoint("arm_node", "std_msgs/msg/Bool"),))}

    def level(**changes: object) -> str:
        seen = Seen(4.0, nodes=("arm_node",), topics=heard, services={"/estop": (SET_BOOL,)})
        (finding,) = check_estop(replace(seen, **changes))
        return finding.level

    assert level(status={"arm_node": {"stopped": "no"}}) == "ok"
    assert level(status={"arm_node": {"stopped": "estop"}}) == "warning"
    assert level(status={"arm_node": {"stopped": "camera stale"}}) == "warning"
    assert level(services={}) == "failure"
    assert level(topics={}) == "failure"
    assert level(nodes=("arm_node", "arm_node")) == "failure"
    assert level(nodes=()) == "ok"


def test_who_acts_already_before_arm_node_is_up_is_told():
    acting = Topic((Endpoint("teleop_node", "sensor_msgs/msg/JointState"),))
    assert troubles(with_topic("/action", acting)) == {("warning", "safety", "action")}


def test_somebody_must_say_that_the_task_is_done():
    assert troubles(with_topic("/success", Topic())) == {("warning", "reward", "success")}
    assert troubles(with_topic("/success", Topic(), nodes=("operator_node",))) == set()
    wrong = Topic((Endpoint("scale", "std_msgs/msg/Float64"),))
    assert troubles(with_topic("/success", wrong)) == {("failure", "reward", "success")}


def test_a_topic_of_another_type_is_told_as_such():
    seen = with_topic(STATES, Topic((Endpoint("driver", "std_msgs/msg/String"),)))
    assert "std_msgs/msg/String" in found(seen, "joint states", "topic").value
