"""The arm's kinematics: the same as the simulator's, there and back, within the joints' limits."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from parrot.errors import ConfigError, SpaceError
from parrot.kinematics import Kinematics
from parrot.sim.bullet import pybullet
from parrot.sim.config import load_robot
from parrot.sim.meshes import light_urdf

ROBOT = load_robot("xarm6")
HOME = np.array(ROBOT.home.joints)


@pytest.fixture(scope="module")
def arm():
    return Kinematics.of(ROBOT)


@pytest.fixture(scope="module")
def bullet_tool():
    """The tool's pose for given joints, by PyBullet."""
    client = pybullet.connect(pybullet.DIRECT)
    body = pybullet.loadURDF(str(light_urdf(ROBOT)), useFixedBase=True, physicsClientId=client)
    infos = [pybullet.getJointInfo(body, i, client) for i in range(pybullet.getNumJoints(body, client))]
    joints = [next(i[0] for i in infos if i[1].decode() == name) for name in ROBOT.arm_joints]
    link = next(i[0] for i in infos if i[12].decode() == ROBOT.tool_link)

    def tool(q):
        for joint, value in zip(joints, q, strict=True):
            pybullet.resetJointState(body, joint, value, 0.0, client)
        state = pybullet.getLinkState(body, link, 0, 1, client)
        rotation = np.reshape(pybullet.getMatrixFromQuaternion(state[5]), (3, 3))
        return np.array(state[4]) + rotation @ ROBOT.tool_offset, rotation

    yield tool
    pybullet.disconnect(client)


def turn_between(a, b):
    return Rotation.from_matrix(a.T @ b).magnitude()


def test_forward_is_pybullets_within_a_tenth_of_a_millimetre(arm, bullet_tool):
    for q in np.random.default_rng(0).uniform(arm.lower, arm.upper, (200, 6)):
        position, rotation = arm.forward(q)
        there, turned = bullet_tool(q)
        assert np.linalg.norm(position - there) < 1e-4
        assert turn_between(rotation, turned) < 1e-4


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-0.25, 0.25), min_size=6, max_size=6))
def test_there_and_back_from_a_neighbouring_pose(offset):
    arm = Kinematics.of(ROBOT)
    position, rotation = arm.forward(HOME + offset)
    q = arm.inverse(position, rotation, HOME)
    there, turned = arm.forward(q)
    assert np.linalg.norm(there - position) < 1e-5
    assert turn_between(turned, rotation) < 1e-4
    assert (q >= arm.lower).all() and (q <= arm.upper).all()


def test_the_workspace_is_reached_up_to_the_height_of_home(arm):
    down, space = np.diag([1.0, -1.0, -1.0]), ROBOT.workspace
    upper = [*space.upper[:2], ROBOT.home.position[2]]  # its far upper corners are 2 cm beyond the real arm's reach
    for corner in itertools.product(*zip(space.lower, upper, strict=True)):
        for yaw in (-1.5, 0.0, 1.5):
            rotation = Rotation.from_euler("z", yaw).as_matrix() @ down
            there, turned = arm.forward(arm.inverse(corner, rotation, HOME))
            assert np.linalg.norm(there - corner) < 1e-5
            assert turn_between(turned, rotation) < 1e-4


def slides(tmp_path, limits):
    """Slides on one another, along x."""
    urdf, text = tmp_path / "slides.urdf", '<robot name="s"><link name="l0"/>'
    for i, limit in enumerate(limits, 1):
        text += (
            f'<link name="l{i}"/><joint name="j{i}" type="prismatic"><parent link="l{i - 1}"/><child link="l{i}"/>'
            f'<axis xyz="1 0 0"/><limit lower="0" upper="{limit}" effort="1" velocity="1"/></joint>'
        )
    urdf.write_text(text + "</robot>")
    return Kinematics(urdf, [f"j{i}" for i in range(1, len(limits) + 1)], f"l{len(limits)}")


def test_a_limit_is_kept_and_another_joint_makes_up_for_it(tmp_path):
    q = slides(tmp_path, [0.2, 1.0]).inverse(np.array([0.9, 0.0, 0.0]), np.eye(3), np.zeros(2))
    np.testing.assert_allclose(q, [0.2, 0.7], atol=1e-5)


def test_a_pose_beyond_the_limits_is_refused(tmp_path):
    with pytest.raises(SpaceError, match=r"they come to 100\.0 mm and 0\.0 degrees"):
        slides(tmp_path, [0.2, 1.0]).inverse(np.array([1.3, 0.0, 0.0]), np.eye(3), np.zeros(2))


def test_joints_that_are_free_to_turn_have_no_limit(tmp_path):
    urdf = tmp_path / "turntable.urdf"
    urdf.write_text(
        '<robot name="t"><link name="base"/><link name="plate"/><joint name="spin" type="continuous">'
        '<parent link="base"/><child link="plate"/><axis xyz="0 0 1"/></joint></robot>'
    )
    table = Kinematics(urdf, ["spin"], "plate", [1.0, 0.0, 0.0])
    np.testing.assert_allclose(table.forward(np.array([7.0]))[0], [np.cos(7), np.sin(7), 0], atol=1e-12)
    assert table.upper == np.inf


@pytest.mark.parametrize("position", [[1.5, 0.0, 0.3], [0.0, 0.0, -2.0]])
def test_a_pose_out_of_reach_is_one_line_that_says_how_near_it_is(arm, position):
    with pytest.raises(SpaceError, match=r"out of the joints' reach: they come to \d+\.\d mm") as error:
        arm.inverse(np.array(position), np.diag([1.0, -1.0, -1.0]), HOME)
    assert "\n" not in str(error.value)


def test_a_name_that_the_urdf_lacks_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match="has no joint elbow; it moves by joint1"):
        Kinematics(ROBOT.urdf_path, ["joint1", "elbow"], ROBOT.tool_link)
    with pytest.raises(ConfigError, match="has no link flange; its links are link_base"):
        Kinematics(ROBOT.urdf_path, ROBOT.arm_joints, "flange")
    broken = tmp_path / "broken.urdf"
    broken.write_text("<robot>")
    with pytest.raises(ConfigError, match=r"broken\.urdf: not a URDF that can be read") as error:
        Kinematics(broken, ["a"], "b")
    assert "\n" not in str(error.value)
