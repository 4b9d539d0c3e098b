"""The URDF that a driver publishes is used where it fits, and never widens or moves what the robot's YAML says."""

from __future__ import annotations

import re

import numpy as np
import pytest

from parrot.arm.description import describe
from parrot.errors import ConfigError
from parrot.kinematics import Kinematics
from parrot.sim.config import load_robot

ROBOT = load_robot("xarm6")
TEXT = ROBOT.urdf_path.read_text()
OWN = Kinematics.of(ROBOT)
Q = np.array([0.1, -0.3, -1.0, 0.1, 1.4, 0.2])

MOUNT = """<link name="world"/><joint name="mount" type="{kind}"><parent link="world"/><child link="link_base"/>
<origin xyz="1 2 3" rpy="0 0 1.57"/><axis xyz="0 0 1"/><limit lower="-1" upper="1" velocity="1" effort="1"/></joint>
<link name="link_base">"""


def mounted(kind: str) -> str:
    return TEXT.replace('<link name="link_base">', MOUNT.format(kind=kind), 1)


def test_without_a_published_urdf_the_file_counts():
    found = describe(ROBOT, "")
    assert not found.published
    assert (found.kinematics.forward(Q)[0] == OWN.forward(Q)[0]).all()


def test_a_published_urdf_counts_with_poses_in_the_base_frame_however_the_arm_is_mounted():
    found = describe(ROBOT, mounted("fixed"))
    assert found.published
    position, rotation = found.kinematics.forward(Q)
    assert np.allclose(position, OWN.forward(Q)[0], atol=1e-9)
    assert np.allclose(rotation, OWN.forward(Q)[1], atol=1e-9)
    assert np.allclose(found.kinematics.jacobian(Q), OWN.jacobian(Q), atol=1e-9)
    assert np.allclose(found.kinematics.inverse(position, rotation, 0.9 * Q), Q, atol=1e-4)


def test_a_calibrated_length_is_taken_over():
    joint = re.search(r'<joint name="joint2".*?</joint>', TEXT, re.S).group()
    x, y, z = (float(v) for v in re.search(r'xyz="([^"]*)"', joint).group(1).split())
    longer = re.sub(r'xyz="[^"]*"', f'xyz="{x} {y} {z + 0.004}"', joint, count=1)
    found = describe(ROBOT, TEXT.replace(joint, longer))
    assert found.published
    apart = found.kinematics.forward(Q)[0] - OWN.forward(Q)[0]
    assert np.linalg.norm(apart) == pytest.approx(0.004, abs=1e-4)


@pytest.mark.parametrize("wider", [True, False])
def test_the_tighter_joint_limits_of_both_hold(wider: bool):
    low, high = ("-6.2", "6.2") if wider else ("-1.0", "0.5")
    joint = re.search(r'<joint name="joint2".*?</joint>', TEXT, re.S).group()
    other = re.sub(r'upper="[^"]*"', f'upper="{high}"', re.sub(r'lower="[^"]*"', f'lower="{low}"', joint))
    arm = describe(ROBOT, TEXT.replace(joint, other)).kinematics
    expected = (OWN.lower[1], OWN.upper[1]) if wider else (-1.0, 0.5)
    assert (arm.lower[1], arm.upper[1]) == pytest.approx(expected)


def test_a_urdf_of_another_arm_is_refused():
    joint = re.search(r'<joint name="joint3".*?</joint>', TEXT, re.S).group()
    other = re.sub(r'xyz="[^"]*"', 'xyz="0.4 0 0"', joint, count=1)
    with pytest.raises(ConfigError, match=r"mm away.*correct urdf or tool_link"):
        describe(ROBOT, TEXT.replace(joint, other))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<robot", "not a URDF"),
        (TEXT.replace('"joint6"', '"wrist"'), "no joint joint6"),
        (TEXT.replace("xarm_gripper_base_link", "flange"), "no link xarm_gripper_base_link"),
        (TEXT.replace("link_base", "foot"), "no link link_base"),
        (mounted("revolute"), "moved by joint mount"),
    ],
)
def test_a_urdf_that_lacks_what_the_yaml_names_is_left_aside_and_told(text: str, reason: str):
    found = describe(ROBOT, text)
    assert not found.published
    assert reason in found.note
    assert np.allclose(found.kinematics.forward(Q)[0], OWN.forward(Q)[0])
