"""Interbotix's xs_sdk: positions for a group of joints on its topic commands/joint_group.

The motors turn to a position in the time of their profile, by default two seconds; it is set to one control step.
Setting the operating mode instead would let go of the motors for a moment, and the arm would fall.
"""

from __future__ import annotations

from parrot.arm.drivers.base import Driver, Message
from parrot.arm.safety import Command

__all__ = ["InterbotixDriver"]


class InterbotixDriver(Driver):
    """Positions; the group's joints are in the order of `joints`."""

    def setup(self) -> list[Message]:
        """Time profiles of one control step, half of it to speed up and slow down; the arm must be in position mode."""
        place = self.config.command.rpartition("/commands/")[0]
        milliseconds = round(self.period * 1000)
        return [
            Message(
                f"{place}/set_motor_registers",
                "interbotix_xs_msgs/srv/RegisterValues",
                {"cmd_type": "group", "name": self.config.group, "reg": register, "value": value},
            )
            for register, value in (("Profile_Velocity", milliseconds), ("Profile_Acceleration", milliseconds // 2))
        ]

    def arm(self, command: Command) -> list[Message]:
        """The positions, rad."""
        fields = {"name": self.config.group, "cmd": command.joints.tolist()}
        return [Message(self.config.command, "interbotix_xs_msgs/msg/JointGroupCommand", fields)]
