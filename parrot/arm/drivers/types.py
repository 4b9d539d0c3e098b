"""ROS messages from the names of their types and a dictionary of fields; only here are their packages imported."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from parrot.arm.drivers.base import NOW
from parrot.errors import ConfigError

__all__ = ["fill", "type_named"]

_PACKAGES = {
    "xarm_msgs": "build https://github.com/xArm-Developer/xarm_ros2 in your workspace",
    "interbotix_xs_msgs": "build https://github.com/Interbotix/interbotix_ros_core in your workspace",
}
"""Where the packages come from that are not in ROS's common interfaces."""


def type_named(name: str) -> Any:
    """The class of a message or service, e.g. `trajectory_msgs/msg/JointTrajectory`.

    Raises:
        ConfigError: its package is not installed; the message says from where to get it.
    """
    package, kind, short = name.split("/")
    try:
        return getattr(importlib.import_module(f"{package}.{kind}"), short)
    except (ImportError, AttributeError) as error:
        remedy = _PACKAGES.get(package, f"install ros-$ROS_DISTRO-{package.replace('_', '-')}")
        raise ConfigError(f"{name} is not installed ({error}); {remedy}, and source it before parrot") from error


def fill(message: Any, fields: Mapping[str, Any], now: Any) -> Any:
    """The message with these fields set; `now` is the stamp for those that say `NOW`.

    Args:
        message: Of a class that rosidl makes, for messages or requests.
        fields: Values, dictionaries for messages within it, and lists of them.
        now: builtin_interfaces/Time.
    """
    types = message.get_fields_and_field_types()
    for name, value in fields.items():
        if value is NOW:
            setattr(message, name, now)
        elif isinstance(value, Mapping):
            fill(getattr(message, name), value, now)
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            package, short = types[name].partition("<")[2].rstrip(">").split("/")
            cls = type_named(f"{package}/msg/{short}")
            setattr(message, name, [fill(cls(), item, now) for item in value])
        else:
            setattr(message, name, value)
    return message
