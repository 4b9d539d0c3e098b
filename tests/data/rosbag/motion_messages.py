"""Messages of an arm in motion, of rosbags' own types, and what to compare derived actions with."""

import numpy as np
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation

from parrot.rotations import rotation_of
from parrot.sim.config import load_robot

STORE = get_typestore(Stores.ROS2_JAZZY)
T = STORE.types
ROBOT = load_robot("xarm6")
SCALE = ROBOT.action_scale
PERIOD = 100_000_000
START = 1_700_000_000_000_000_000
"""A time as a clock would say it, ns: too large for a float."""


def stamp(time):
    return T["builtin_interfaces/msg/Time"](sec=int(time // 10**9), nanosec=int(time % 10**9))


def stamp_of(message):
    """As a converter by header stamps would tell the time, ns."""
    first = message.transforms[0] if hasattr(message, "transforms") else message
    return first.header.stamp.sec * 10**9 + first.header.stamp.nanosec


def header(time, frame="base"):
    return T["std_msgs/msg/Header"](stamp=stamp(time), frame_id=frame)


def vector(v):
    return T["geometry_msgs/msg/Vector3"](*map(float, v))


def quaternion(rotation, sign=1):
    return T["geometry_msgs/msg/Quaternion"](*map(float, sign * rotation.as_quat()))


def pose(position, rotation, sign=1):
    point = T["geometry_msgs/msg/Point"](*map(float, position))
    return T["geometry_msgs/msg/Pose"](position=point, orientation=quaternion(rotation, sign))


def pose_stamped(time, position, rotation, sign=1):
    return T["geometry_msgs/msg/PoseStamped"](header=header(time), pose=pose(position, rotation, sign))


def transform(time, parent, child, position, rotation):
    body = T["geometry_msgs/msg/Transform"](translation=vector(position), rotation=quaternion(rotation))
    return T["geometry_msgs/msg/TransformStamped"](header=header(time, parent), child_frame_id=child, transform=body)


def tf(*transforms):
    return T["tf2_msgs/msg/TFMessage"](transforms=list(transforms))


def joint_state(time, names, positions):
    empty = np.zeros(0)
    return T["sensor_msgs/msg/JointState"](
        header=header(time), name=list(names), position=np.asarray(positions, float), velocity=empty, effort=empty
    )


def twist_stamped(time, linear, angular):
    body = T["geometry_msgs/msg/Twist"](linear=vector(linear), angular=vector(angular))
    return T["geometry_msgs/msg/TwistStamped"](header=header(time), twist=body)


def trajectory(time, names, points):
    """`points`: (nanoseconds from the start, positions)."""
    empty, kind, duration = (
        np.zeros(0),
        T["trajectory_msgs/msg/JointTrajectoryPoint"],
        T["builtin_interfaces/msg/Duration"],
    )
    made = [
        kind(
            positions=np.asarray(q, float), velocities=empty, accelerations=empty, effort=empty,
            time_from_start=duration(sec=int(after // 10**9), nanosec=int(after % 10**9)),
        )
        for after, q in points
    ]  # fmt: skip
    return T["trajectory_msgs/msg/JointTrajectory"](header=header(time), joint_names=list(names), points=made)


def borders(steps):
    return START + PERIOD * np.arange(steps + 1)


class Walk:
    """The path that a sequence of actions (T, 6) in [-1, 1] makes, at constant speed within each step."""

    def __init__(self, moves, position=(0.4, 0.0, 0.2), rpy=(0.0, 0.0, 0.0)):
        moves = np.asarray(moves, float)
        at = np.concatenate([np.zeros((1, 6)), np.cumsum(moves, axis=0)])
        self.positions = position + SCALE.translation * at[:, :3]
        self.rpy = rpy + SCALE.rotation * at[:, 3:]
        self.times = borders(len(moves))
        self.rotations = Rotation.from_matrix(np.stack([rotation_of(angles) for angles in self.rpy]))

    def at(self, times):
        """Positions (N, 3) and rotations, interpolated as a recorder of it would see them."""
        index = np.clip(np.searchsorted(self.times, times, side="right") - 1, 0, len(self.times) - 2)
        weight = np.clip((times - self.times[index]) / PERIOD, 0, 1)[:, None]
        positions = self.positions[index] * (1 - weight) + self.positions[index + 1] * weight
        turn = (self.rotations[index].inv() * self.rotations[index + 1]).as_rotvec()
        return positions, self.rotations[index] * Rotation.from_rotvec(turn * weight)
