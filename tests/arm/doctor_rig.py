"""A healthy graph of the emulated arm, as the doctor sees it, from which each test takes one thing away."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from parrot.arm.doctor import Finding, Seen, examine
from parrot.arm.doctor.robot_file import patient_of
from parrot.arm.doctor.seen import Endpoint, JointSample, Picture, Topic
from parrot.sim.config import load_robot

ROBOT = load_robot("emulated")
URDF = ROBOT.urdf_path.read_text()
PATIENT = patient_of(ROBOT, URDF)[0]
HOME = PATIENT.home.joints
NOW = 1_700_000_000_000_000_000
STATES, CAMERA, COMMAND = ROBOT.driver.joint_states, ROBOT.camera.topic, ROBOT.driver.command
GRIPPER = ROBOT.driver.gripper.topic
TRAJECTORY = "trajectory_msgs/msg/JointTrajectory"
NAMES = (*ROBOT.arm_joints, "left_finger_slide", "right_finger_slide")


def joints_at(path, hz: float = 100.0, age: float = 0.005, names=NAMES) -> tuple[JointSample, ...]:
    """A message for each row of joints (N, J), the fingers open."""
    found = []
    for index, row in enumerate(path):
        wall = NOW + int(index / hz * 1e9)
        found.append(JointSample(index / hz, wall, wall - int(age * 1e9), names, (*map(float, row), 0.0, 0.0)))
    return tuple(found)


def pictures(count: int = 120, hz: float = 30.0, age: float = 0.02, **changes: object) -> tuple[Picture, ...]:
    """So many, all different."""
    found = []
    for index in range(count):
        wall = NOW + int(index / hz * 1e9)
        picture = Picture(index / hz, wall, wall - int(age * 1e9), "bgr8", (640, 480), digest=index)
        found.append(replace(picture, **changes))
    return tuple(found)


def view() -> np.ndarray:
    """A picture (480, 640, 3) that shows something."""
    rows, columns = np.mgrid[0:480, 0:640]
    return np.stack([rows // 2, columns // 3, np.full_like(rows, 90)], -1).astype(np.uint8)


def healthy(**changes: object) -> Seen:
    """A graph in order but for the changes."""
    driver = Endpoint("driver", TRAJECTORY)
    topics = {
        STATES: Topic((Endpoint("driver", "sensor_msgs/msg/JointState"),)),
        CAMERA: Topic((Endpoint("camera", "sensor_msgs/msg/Image"),)),
        COMMAND: Topic((), (driver,)),
        GRIPPER: Topic((), (driver,)),
        "/success": Topic((Endpoint("judge", "std_msgs/msg/Bool"),)),
    }
    seen = Seen(
        4.0, ("driver", "camera"), topics, {"/reset_scene": ("std_srvs/srv/Trigger",)},
        joints_at(np.tile(HOME, (200, 1))), pictures(), view(), description=URDF,
    )  # fmt: skip
    return replace(seen, **changes)


def with_topic(name: str, topic: Topic, **changes: object) -> Seen:
    """A healthy graph in which this topic is another."""
    seen = healthy(**changes)
    return replace(seen, topics={**seen.topics, name: topic})


def found(seen: Seen, subject: str, thing: str, robot=ROBOT) -> Finding:
    """The one finding of that name."""
    (finding,) = [f for f in examine(robot, seen) if (f.subject, f.thing) == (subject, thing)]
    assert finding.value
    assert bool(finding.remedy) == (finding.level != "ok")
    return finding


def troubles(seen: Seen, robot=ROBOT) -> set[tuple[str, str, str]]:
    """Level, subject and thing of all that is not in order."""
    return {(f.level, f.subject, f.thing) for f in examine(robot, seen) if f.level != "ok"}
