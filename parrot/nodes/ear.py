"""Listening to any topic of any type, as reliably as it is offered; messages stay as they were on the wire."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from parrot.errors import ConfigError
from parrot.nodes import topics
from parrot.nodes.base import GraphNode

__all__ = ["Ear", "further_topics", "message_class"]

DEPTH = 1000
"""Messages that wait while the node is busy; a camera's are a megabyte each, but come thirty times a second only."""


def message_class(kind: str) -> Any:
    """The class of a message type, e.g. `sensor_msgs/msg/Image`.

    Raises:
        ConfigError: it is not installed.
    """
    package, _, name = kind.partition("/msg/")
    try:
        return getattr(import_module(f"{package}.msg"), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"message type {kind!r} is not installed; write PACKAGE/msg/TYPE, and source the workspace that has it"
        ) from error


def further_topics(text: str) -> dict[str, str]:
    """Topic -> type, of `/camera/color/image_raw sensor_msgs/msg/Image, /wrench geometry_msgs/msg/WrenchStamped`.

    Raises:
        ConfigError: an entry is not TOPIC TYPE.
    """
    found = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        words = entry.split()
        if len(words) != 2:
            raise ConfigError(f"topic {entry!r} to record: write TOPIC TYPE, separated by commas")
        found[words[0]] = words[1]
    return found


class Ear:
    """A subscription that changes its quality of service to what is offered."""

    def __init__(self, node: GraphNode[Any], topic: str, kind: Any, callback: Callable[[bytes], None]) -> None:
        self.node, self.topic, self.kind, self.callback = node, topic, kind, node.guarded(callback)
        self.subscription = self._subscribe(topics.LOOP)

    def _subscribe(self, qos: QoSProfile) -> Subscription:
        self.qos = qos
        return self.node.create_subscription(self.kind, self.topic, self.callback, qos, raw=True)

    def adapt(self) -> None:
        """Subscribes anew if what is offered is not what is heard."""
        offered = _offered(self.node, self.topic)
        if offered is None:
            return
        if (offered.reliability, offered.durability) != (self.qos.reliability, self.qos.durability):
            self.node.destroy_subscription(self.subscription)
            self.subscription = self._subscribe(offered)


def _offered(node: Node, topic: str) -> QoSProfile | None:
    """The quality of service that hears all who publish this topic, as reliably as they offer; None: nobody does."""
    offers = [info.qos_profile for info in node.get_publishers_info_by_topic(topic)]
    if not offers:
        return None
    reliable = all(offer.reliability == ReliabilityPolicy.RELIABLE for offer in offers)
    latched = all(offer.durability == DurabilityPolicy.TRANSIENT_LOCAL for offer in offers)
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=DEPTH,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )
