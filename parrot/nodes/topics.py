"""Names and quality of service of the graph's topics and services; docs/ros.md has the table."""

from __future__ import annotations

from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy

__all__ = [
    "ACTION", "ACTION_EXECUTED", "CLOCK", "DIAGNOSTICS", "ESTOP", "FAULT", "IMAGE", "JOINT_STATES", "JOY", "LATENT",
    "LOOP", "MARKER", "NEWEST", "OBSERVATION", "OPERATOR", "OUTCOME", "RESET_SCENE", "SENSOR", "SUCCESS",
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

OBSERVATION = "camera/observation"
"""camera_node to arm_node: every picture that it unpacks; `camera/image` are those that are acted on."""
SUCCESS = "success"
"""Topic: whether the task is done, now. Service: the operator says it is."""
RESET_SCENE = "reset_scene"
"""Service of whoever sets the table."""
ESTOP = "estop"
"""Topic and service."""
OPERATOR = "operator"
"""What the operator says to arm_node: a word of `parrot.nodes.operator.WORDS`."""
FAULT = "emulated/fault"
"""What is to go wrong with the emulated arm."""

LOOP = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1000, reliability=ReliabilityPolicy.RELIABLE)
"""Of the loop's topics: lockstep must not lose a message, nor a recorder that is starved for a few seconds."""

NEWEST = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Of what is good only while it is new."""

SENSOR = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=2, reliability=ReliabilityPolicy.RELIABLE)
"""Of a camera's driver: most offer it. Of pictures of 1 MB that are sent without it, a third is lost."""
