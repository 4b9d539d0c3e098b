"""Reads the URDF that a robot's driver publishes, before the node that needs it begins to spin."""

from __future__ import annotations

import time

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import String

__all__ = ["LATCHED", "read_description"]

LATCHED = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""As robot_state_publisher publishes: whoever comes later hears it, too."""

ARRIVAL = 5.0
"""Seconds that a text which somebody publishes may take."""

DRIVER = 10.0
"""Seconds that a driver which is started together with us may take until it publishes joint states."""


def read_description(beside: Node, topic: str, seconds: float, driver: str) -> str:
    """The URDF's text; empty if nobody publishes it.

    By a node and an executor of its own, so that it may be called from within a callback.

    Args:
        beside: A node, whose context and namespace count.
        topic: Name of the topic.
        seconds: To look for somebody who publishes it, once the driver is there.
        driver: Name of the driver's topic of joint states, which tells that it is.
    """
    found: list[str] = []

    def keep(message: String) -> None:
        found.append(message.data)

    node = rclpy.create_node(
        f"{beside.get_name()}_description", context=beside.context, namespace=beside.get_namespace(),
        start_parameter_services=False, enable_rosout=False,
    )  # fmt: skip
    executor = SingleThreadedExecutor(context=beside.context)
    try:
        executor.add_node(node)
        node.create_subscription(String, topic, keep, LATCHED)
        end, there = time.monotonic() + DRIVER, False
        while not found and time.monotonic() < end + (ARRIVAL if node.count_publishers(topic) else 0):
            if not there and node.count_publishers(driver):
                there, end = True, time.monotonic() + seconds
            executor.spin_once(timeout_sec=0.05)
    finally:
        executor.shutdown()
        node.destroy_node()
    return found[0] if found else ""
