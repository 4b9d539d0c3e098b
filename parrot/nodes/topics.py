"""Names and quality of service of the graph's topics and services; docs/ros.md has the table."""

from __future__ import annotations

from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy

__all__ = [
    "ACTION", "ACTION_EXECUTED", "CLOCK", "DIAGNOSTICS", "IMAGE", "JOINT_STATES", "JOY", "LATENT", "LOOP", "MARKER",
    "OUTCOME",
]  # fmt: skip

IMAGE = "camera/image"
LATENT = "latent"
ACTION = "action"
ACTION_EXECUTED = "action_executed"
"""What the arm did of an action that came from outside: after limits, and only if it did."""
OUTCOME = "outcome"
JOINT_STATES = "joint_states"
MARKER = "marker"
JOY = "joy"
CLOCK = "/clock"
DIAGNOSTICS = "/diagnostics"

LOOP = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1000, reliability=ReliabilityPolicy.RELIABLE)
"""Of the loop's topics: lockstep must not lose a message, nor a recorder that is starved for a few seconds."""
