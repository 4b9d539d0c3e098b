"""ros2_control's joint_trajectory_controller: trajectory_msgs/JointTrajectory on its topic.

One point, a control step ahead at most, and no stamp, which means at once: when nothing more comes, the controller
holds that point. Without velocities it interpolates linearly.
"""

from __future__ import annotations

from parrot.arm.drivers.base import AT_ONCE, Driver, Message, duration
from parrot.arm.safety import Command

__all__ = ["JointTrajectoryDriver"]


class JointTrajectoryDriver(Driver):
    """One point for each command."""

    def arm(self, command: Command) -> list[Message]:
        """The trajectory."""
        point = {"positions": command.joints.tolist(), "time_from_start": duration(command.seconds)}
        header = {"stamp": AT_ONCE, "frame_id": ""}
        fields = {"header": header, "joint_names": list(self.names), "points": [point]}
        return [Message(self.config.command, "trajectory_msgs/msg/JointTrajectory", fields)]
