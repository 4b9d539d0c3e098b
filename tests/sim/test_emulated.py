"""The emulated arm without ROS: it follows trajectories in its own time, and a person sets its table."""

from __future__ import annotations

import numpy as np
import pytest

from parrot.errors import SpaceError
from parrot.sim.config import load_robot, load_scene
from parrot.sim.emulated import EmulatedArm
from parrot.sim.emulated_camera import EmulatedCamera
from parrot.sim.trajectory import Follower

TURN = np.array([0.2, 0, 0, 0, 0, 0])
"""Radians: of the first joint alone."""


@pytest.fixture
def arm():
    found = EmulatedArm("grasp_can", load_robot("emulated"), load_scene(), seed=1)
    yield found
    found.close()


def joints(arm: EmulatedArm) -> np.ndarray:
    return arm.positions()[: len(arm.arm.names)]


def test_it_follows_a_trajectory_in_its_time_and_holds_its_end(arm):
    start = joints(arm)
    goal = start + TURN
    arm.arm.take(arm.arm.names, [goal], [0.5], now=0.0)
    arm.advance(0.25)
    assert joints(arm)[0] - start[0] == pytest.approx(0.1, abs=0.02)
    assert arm.velocities()[0] == pytest.approx(0.4, abs=0.05)
    arm.advance(0.7)
    there = joints(arm)
    assert np.abs(there - goal).max() < 0.005
    arm.advance(1.5)
    assert np.abs(joints(arm) - there).max() < 1e-3


def test_a_new_trajectory_replaces_the_last_from_where_the_arm_is(arm):
    start = joints(arm)
    arm.arm.take(arm.arm.names, [start + 2 * TURN], [0.4], now=0.0)
    arm.advance(0.2)
    arm.arm.take(arm.arm.names, [start], [0.2], now=0.2)
    arm.advance(0.3)
    assert 0.05 < joints(arm)[0] - start[0] < 0.2
    arm.advance(0.6)
    assert joints(arm)[0] == pytest.approx(start[0], abs=0.005)


def test_the_gripper_takes_its_time(arm):
    command = arm.world.robot.driver.gripper
    arm.gripper.take(arm.gripper.names, [[command.closed]], [0.1], now=0.0)
    arm.advance(0.05)
    assert arm.world.arm.opening() > 0.5
    arm.advance(0.6)
    assert arm.world.arm.opening() < 0.05


def test_a_fault_of_the_drives_holds_the_arm_where_it_is(arm):
    arm.arm.take(arm.arm.names, [joints(arm) + 0.5], [0.5], now=0.0)
    arm.advance(0.2)
    arm.stop()
    there = joints(arm)
    arm.advance(1.0)
    assert np.abs(joints(arm) - there).max() < 0.05  # it takes a little way to stop


def test_a_person_sets_the_table_without_moving_the_arm(arm):
    arm.arm.take(arm.arm.names, [joints(arm) + TURN], [0.1], now=0.0)
    arm.advance(0.5)
    before, places = joints(arm), [arm.world.pose(name)[0] for name in arm.world.objects]
    arm.reset_scene()
    assert np.abs(joints(arm) - before).max() < 0.01
    assert not np.allclose(places, [arm.world.pose(name)[0] for name in arm.world.objects])
    assert not arm.success()


def test_time_that_physics_missed_is_left_out_and_told(arm):
    assert arm.advance(0.2) == 0
    assert arm.advance(10.2) == pytest.approx(9.75)


@pytest.mark.parametrize(
    ("names", "points", "seconds", "reason"),
    [
        (["a"], [[1.0]], [0.1], "joints a"),
        (["a", "b"], [[1.0]], [0.1], "points"),
        (["a", "b"], [], [], "points"),
        (["a", "b"], [[1.0, np.nan]], [0.1], "finite"),
        (["a", "b"], [[1.0, 1.0], [2.0, 2.0]], [0.2, 0.1], "go back"),
    ],
)
def test_a_trajectory_that_is_none_changes_nothing(names, points, seconds, reason):
    follower = Follower(["a", "b"], [0.0, 0.0])
    with pytest.raises(SpaceError, match=reason):
        follower.take(names, points, seconds, now=0.0)
    assert np.array_equal(follower.set_point(1.0), [0.0, 0.0])


def test_the_pictures_middle_shows_what_the_simulators_camera_does(arm):
    camera = EmulatedCamera(arm.world.robot, arm.world.scene, (640, 480), noise=0.0)
    arm.arm.take(arm.arm.names, [joints(arm) + TURN], [0.3], now=0.0)
    for now in (0.0, 0.5):
        arm.advance(now)
        seen = camera.picture(arm.snapshot())
        assert seen.shape == (480, 640, 3)
        own = np.repeat(np.repeat(arm.world.camera.picture(120), 4, 0), 4, 1)
        assert np.abs(seen[:, 80:560].astype(int) - own).mean() < 4
    noisy = EmulatedCamera(arm.world.robot, arm.world.scene, (640, 480), noise=3.0)
    assert not np.array_equal(noisy.picture(arm.snapshot()), noisy.picture(arm.snapshot()))
    camera.close()
    noisy.close()
