"""What goes over the wire for a command of the safety core, field by field, and what comes back."""

import dataclasses
import math

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2, or the extra `ros`")

from arm_rig import LIMITS, Rig
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TwistStamped
from scipy.spatial.transform import Rotation
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from parrot.arm.drivers import NOW, make_driver
from parrot.arm.drivers.types import fill, type_named
from parrot.arm.safety import Command
from parrot.errors import ConfigError
from parrot.sim.config import load_robot
from parrot.sim.hardware import DriverConfig, GripperCommand

XARM = load_robot("xarm6")

PUBLISHED = {
    "xarm_msgs/msg/MoveVelocity": {"speeds", "is_sync", "is_tool_coord", "duration"},
    "xarm_msgs/srv/SetInt16": {"data"},
    "xarm_msgs/srv/GripperMove": {"pos", "wait", "timeout"},
    "interbotix_xs_msgs/msg/JointGroupCommand": {"name", "cmd"},
    "interbotix_xs_msgs/msg/JointSingleCommand": {"name", "cmd"},
    "interbotix_xs_msgs/srv/RegisterValues": {"cmd_type", "name", "reg", "value"},
}
"""Fields of the makers' messages and requests, from the definitions in xarm_ros2 and interbotix_ros_core."""


def driver(kind="joint_trajectory", robot=XARM, **changes):
    config = DriverConfig(kind=kind, command=changes.pop("command", "/arm/commands"), **changes)
    return make_driver(dataclasses.replace(robot, driver=config))


def command(seconds=0.1, gripper=None, by=0.01):
    measured = np.array([0.0, -0.1, -0.9, 0.0, 1.0, 0.0])
    return Command(measured + by, measured, gripper, seconds, "")


def at_rest():
    return command(by=0.0)


def test_a_trajectory_has_one_point_a_control_step_ahead_and_starts_at_once():
    topic, name, fields = driver(joints=tuple("abcdef")).messages(command())[0]
    message = fill(type_named(name)(), fields, Time(sec=7))
    assert topic == "/arm/commands"
    assert isinstance(message, JointTrajectory)
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (0, 0)
    assert list(message.joint_names) == list("abcdef")
    (point,) = message.points
    np.testing.assert_allclose(point.positions, command().joints)
    assert (point.time_from_start.sec, point.time_from_start.nanosec) == (0, 100_000_000)
    assert len(point.velocities) == 0


def test_a_twist_leads_the_tool_link_to_the_target_in_the_base_frame():
    servo = driver("servo", frame="link_base")
    wish = command()
    ((_, name, fields),) = servo.messages(wish)
    message = fill(type_named(name)(), fields, Time(sec=7))
    assert isinstance(message, TwistStamped)
    assert message.header.stamp.sec == 7  # Servo drops what is older than its timeout
    assert message.header.frame_id == "link_base"
    linear, angular = (np.array([v.x, v.y, v.z]) for v in (message.twist.linear, message.twist.angular))
    (p0, r0), (p1, r1) = (servo.kinematics.forward(q) for q in (wish.measured, wish.joints))
    offset = np.array(XARM.tool_offset)
    np.testing.assert_allclose(p0 - r0 @ offset + linear * 0.1, p1 - r1 @ offset, atol=1e-12)
    np.testing.assert_allclose(Rotation.from_rotvec(angular * 0.1).as_matrix() @ r0, r1, atol=1e-12)


def test_twists_come_faster_than_servos_timeout_and_end_with_zeros_and_silence():
    servo = driver("servo", frame="link_base", hz=50.0)
    assert servo.hz * 0.1 >= 2
    assert servo.messages(at_rest()) == []
    assert len(servo.messages(command())) == 1
    heard = [servo.messages(at_rest()) for _ in range(20)]
    zeros = [messages[0].fields["twist"] for messages in heard if messages]
    assert len(zeros) == 5
    assert all(value == 0 for twist in zeros for part in twist.values() for value in part.values())
    assert not any(heard[5:])


def test_an_unfinished_twist_is_no_faster_than_the_command_and_calm_at_its_end():
    servo = driver("servo", frame="link_base")
    speeds = []
    for seconds in (0.1, 0.05, 0.01):
        linear = servo.messages(command(seconds))[0].fields["twist"]["linear"]
        speeds.append(math.hypot(*linear.values()))
    assert speeds[1] == pytest.approx(2 * speeds[0])
    assert speeds[2] == pytest.approx(speeds[1])


def test_velocities_of_an_xarm_end_where_the_command_ends():
    xarm = driver("xarm", command="/xarm/vc_set_joint_velocity", hz=50.0)
    ((topic, name, fields),) = xarm.messages(command())
    assert (topic, name) == ("/xarm/vc_set_joint_velocity", "xarm_msgs/msg/MoveVelocity")
    assert set(fields) == PUBLISHED[name]
    np.testing.assert_allclose(np.array(fields["speeds"]) * fields["duration"], 0.01)
    assert 0 < fields["duration"] <= LIMITS.period
    assert xarm.messages(at_rest())[0].fields["speeds"] == [0.0] * 6
    assert [(m.topic, m.type, m.fields) for m in xarm.setup()] == [
        ("/xarm/set_mode", "xarm_msgs/srv/SetInt16", {"data": 4}),
        ("/xarm/set_state", "xarm_msgs/srv/SetInt16", {"data": 0}),
    ]


def test_an_interbotix_arm_takes_positions_in_a_profile_of_one_control_step():
    arm = make_driver(load_robot("wx250s"))
    wish = command(gripper=1.0)
    group, single = arm.messages(wish)
    assert group[:2] == ("/wx250s/commands/joint_group", "interbotix_xs_msgs/msg/JointGroupCommand")
    assert group.fields == {"name": "arm", "cmd": wish.joints.tolist()}
    assert single[:2] == ("/wx250s/commands/joint_single", "interbotix_xs_msgs/msg/JointSingleCommand")
    assert single.fields == {"name": "gripper", "cmd": 0.074}
    profile, ramp = arm.setup()
    assert profile[:2] == ("/wx250s/set_motor_registers", "interbotix_xs_msgs/srv/RegisterValues")
    assert profile.fields == {"cmd_type": "group", "name": "arm", "reg": "Profile_Velocity", "value": 100}
    assert ramp.fields["reg"] == "Profile_Acceleration"
    assert ramp.fields["value"] * 2 <= profile.fields["value"]
    for message in (group, single, profile):
        assert set(message.fields) == PUBLISHED[message.type]


@pytest.mark.parametrize(
    ("kind", "name", "read"),
    [
        ("joint_trajectory", "trajectory_msgs/msg/JointTrajectory", lambda m: m.points[0].positions[0]),
        ("float64_multi_array", "std_msgs/msg/Float64MultiArray", lambda m: m.data[0]),
        ("joint_single", "interbotix_xs_msgs/msg/JointSingleCommand", None),
        ("gripper_move", "xarm_msgs/srv/GripperMove", None),
    ],
)
def test_each_kind_of_gripper_gets_the_drivers_numbers(kind, name, read):
    arm = driver(gripper=GripperCommand("/hand", open=850.0, closed=50.0, kind=kind, joint="finger"))
    for opening, number in ((1.0, 850.0), (0.0, 50.0), (0.5, 450.0)):
        hand = arm.messages(command(gripper=opening))[1]
        assert (hand.topic, hand.type) == ("/hand", name)
        if read is None:
            assert set(hand.fields) == PUBLISHED[name]
            assert hand.fields.get("cmd", hand.fields.get("pos")) == number
        else:
            assert read(fill(type_named(name)(), hand.fields, Time())) == number


def test_the_gripper_is_told_when_it_changes_and_once_a_second():
    arm = driver(gripper=GripperCommand("/hand", open=1.0, closed=0.0, joint="finger"))
    told = [len(arm.messages(command(gripper=opening))) - 1 for opening in [None, 1.0] + [1.0] * 10 + [0.0, 0.0]]
    assert told == [0, 1] + [0] * 9 + [1, 1, 0]


def test_joint_states_come_back_in_the_arms_order():
    arm = driver(joints=tuple("abcdef"), joint_states="/js")
    fields = {"name": ["finger", *"fedcba"], "position": [9.0, 6, 5, 4, 3, 2, 1]}
    np.testing.assert_array_equal(arm.joints("/js", fields), [1, 2, 3, 4, 5, 6])
    assert arm.joints("/js", {"name": ["finger"], "position": [9.0]}) is None
    assert arm.joints("/js", {"name": list("abcdef"), "position": []}) is None
    assert arm.joints("/other", fields) is None


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("xarm_msgs/msg/MoveVelocity", "build https://github.com/xArm-Developer/xarm_ros2"),
        ("interbotix_xs_msgs/msg/JointGroupCommand", "build https://github.com/Interbotix/interbotix_ros_core"),
        ("control_nonsense_msgs/msg/Thing", r"install ros-\$ROS_DISTRO-control-nonsense-msgs"),
        ("std_msgs/msg/NoSuchMessage", "install"),
    ],
)
def test_a_message_that_is_not_installed_says_where_to_get_it(name, remedy):
    with pytest.raises(ConfigError, match=remedy) as error:
        type_named(name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "servo"}, "needs frame"),
        ({"kind": "servo", "frame": "base", "hz": 10.0}, "give at least 20"),
        ({"joints": ("a", "b")}, "driver joints a, b are 2"),
        ({"hz": 0.0}, "driver hz is 0"),
        ({"gripper": GripperCommand("/hand", open=1.0, closed=0.0)}, "gripper joint_trajectory needs joint"),
        ({"gripper": GripperCommand("/hand", 1.0, 1.0, joint="f")}, "opens at 1, closes at 1"),
        ({"gripper": GripperCommand("/hand", math.nan, 1.0, joint="f")}, "opens at nan"),
    ],
)
def test_a_driver_that_does_not_fit_is_one_line(changes, message):
    with pytest.raises(ConfigError, match=message) as error:
        driver(**changes)
    assert "\n" not in str(error.value)


def test_a_robot_without_a_driver_says_so():
    with pytest.raises(ConfigError, match="robot xarm6 has no section driver"):
        make_driver(dataclasses.replace(XARM, driver=None))


def test_now_is_the_only_stamp_that_depends_on_the_moment():
    message = fill(Float64MultiArray(), {"data": [1.0]}, Time(sec=7))
    assert list(message.data) == [1.0]
    assert fill(TwistStamped(), {"header": {"stamp": NOW}}, Time(sec=7)).header.stamp.sec == 7


@pytest.mark.parametrize("kind", ["servo", "xarm"])
def test_velocities_keep_the_joints_within_their_speed_whatever_is_asked(kind):
    """Through the core: the speeds on the wire obey the caps while the arm races about."""
    rig, rng = Rig(), np.random.default_rng(0)
    arm = driver(kind, command="/x/y", frame="link_base")
    offset = np.linalg.norm(XARM.tool_offset)
    for _ in range(60):
        wish = rig.act(np.sign(rng.uniform(-1, 1, 7)))
        for _ in range(5):
            for message in arm.arm(wish):
                if kind == "xarm":
                    assert np.abs(message.fields["speeds"]).max() <= LIMITS.joint_speed * 1.001
                else:
                    linear = math.hypot(*message.fields["twist"]["linear"].values())
                    angular = math.hypot(*message.fields["twist"]["angular"].values())
                    assert angular <= LIMITS.angular_speed * 1.001
                    assert linear <= LIMITS.linear_speed + LIMITS.angular_speed * offset
            rig.pass_time(0.02)
            wish = rig.take(rig.core.tick(rig.now))
    assert rig.broken == []
