"""The robots that come with parrot can be driven: limits, kinematics and driver of each fit together."""

import math

import numpy as np
import pytest
from arm_rig import Rig

from parrot.arm.drivers import make_driver
from parrot.arm.gate import Gate
from parrot.arm.limits import Limits
from parrot.errors import ConfigError, SpaceError
from parrot.kinematics import Kinematics
from parrot.resources import share
from parrot.rotations import DOWN, rotation_of
from parrot.sim.config import load_robot

ROBOTS = sorted(path.stem for path in share("config", "robots").glob("*.yaml"))


def home(robot, arm):
    return arm.inverse(np.array(robot.home.position), DOWN, np.array(robot.home.joints))


def test_they_are_three():
    assert ROBOTS == ["emulated", "wx250s", "xarm6"]


@pytest.mark.parametrize("name", ROBOTS)
def test_every_robot_has_limits_a_driver_and_a_camera(name):
    robot = load_robot(name)
    assert robot.name == name
    assert Limits.of(robot).period == 0.1
    assert make_driver(robot).names == robot.arm_joints
    assert robot.camera is not None


@pytest.mark.parametrize("name", ROBOTS)
def test_the_arm_may_stand_at_home_and_take_the_largest_action_along_any_axis(name):
    robot = load_robot(name)
    arm, limits = Kinematics.of(robot), Limits.of(robot)
    gate = Gate(limits, arm)
    here = gate.place(home(robot, arm))
    assert gate.violation(here, here, 0.0) == ""
    assert (here.pose > gate.lower).all()
    assert (here.pose < gate.upper).all()
    scale = np.repeat([limits.translation, limits.rotation], 3)
    for action in [*np.eye(6)[[0, 1, 2, 5]], *-np.eye(6)[[0, 1, 2, 5]]]:  # roll and pitch swing the whole arm
        goal = np.clip(here.pose + scale * action, gate.lower, gate.upper)
        there = gate.place(arm.inverse(goal[:3], rotation_of(goal[3:]), here.joints))
        assert gate.violation(here, there, 1.0) == ""


@pytest.mark.parametrize("name", ROBOTS)
def test_nearly_all_of_the_workspace_is_open_to_the_arm(name):
    robot = load_robot(name)
    arm, limits = Kinematics.of(robot), Limits.of(robot)
    gate, start = Gate(limits, arm), home(robot, arm)
    rng, closed = np.random.default_rng(0), 0
    for pose in rng.uniform(limits.lower, limits.upper, (200, 6)):
        try:
            there = gate.place(arm.inverse(pose[:3], rotation_of(pose[3:]), start))
        except SpaceError:
            closed += 1
            continue
        closed += bool(there.singular < limits.singularity or (there.joints > gate.joint_upper).any())
    assert closed <= 4


def test_the_widowx_has_the_makers_lengths():
    arm = Kinematics.of(load_robot("wx250s"))
    # Stretched out: along x the lengths of upper arm's offset, forearm, wrist and gripper; up, foot and upper arm.
    position, rotation = arm.forward(np.zeros(6))
    np.testing.assert_allclose(position, [0.458325, 0.0, 0.36065], atol=1e-6)
    np.testing.assert_allclose(rotation[:, 2], [1, 0, 0], atol=1e-9)  # z out of the gripper
    # With the wrist bent down, the tool is what parrot calls down.
    np.testing.assert_allclose(arm.forward(np.array([0, 0, 0, 0, math.pi / 2, 0]))[1], DOWN, atol=1e-9)
    np.testing.assert_allclose(np.degrees(arm.upper[[1, 2, 4]]), [114, 92, 123], atol=1e-3)
    np.testing.assert_allclose(np.degrees(arm.lower[[1, 2, 4]]), [-108, -123, -100], atol=1e-3)


def test_simulating_an_arm_without_meshes_is_one_line():
    from parrot.sim.env import ManipulationEnv

    with pytest.raises(ConfigError, match="robot wx250s has nothing to draw") as error:
        ManipulationEnv("grasp_cap", robot="wx250s")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ROBOTS)
def test_wherever_a_policy_has_left_it_the_arm_comes_home(name):
    robot = load_robot(name)
    for episode in (8, 73, 96):  # in these an xArm6 whose wrist may turn over does not find back
        rng = np.random.default_rng(episode)
        rig = Rig(robot=robot)
        drift = rng.normal(0, 1, 7)  # the same way for a whole episode: into the corners, with the wrist far turned
        for _ in range(25):
            rig.act(np.clip(drift * rng.uniform(0, 1.5) + rng.normal(0, 0.6, 7), -1, 1))
            rig.pass_time()
        for _ in range(100):
            rig.take(rig.core.goto(rig.home, rig.now))
            rig.pass_time()
        assert rig.broken == []
        np.testing.assert_allclose(rig.plant.joints, rig.home, atol=0.03)
