"""Where episodes end and what was executed in them, for what acts with a memory of the steps before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import JointState

from parrot.errors import SpaceError
from parrot.nodes import topics
from parrot.nodes.base import GraphNode
from parrot.nodes.messages import nanoseconds, vector_from
from parrot.spaces import ACTION_NAMES, OUTCOME_NAMES, Outcome, check_action

__all__ = ["EpisodeEar"]


class EpisodeEar:
    """Hears outcomes and executed actions. A node has its ear before it listens to images, and so hears an end first.

    Args:
        node: who listens.
        begin: called when an episode has ended.
        executed: called with the stamp in ns of an image of this episode and the action (7,) that was executed then.
    """

    def __init__(
        self,
        node: GraphNode[Any],
        begin: Callable[[], None],
        executed: Callable[[int, NDArray[np.floating]], None],
    ) -> None:
        self.node, self.begin, self.executed = node, begin, executed
        self.ended = 0
        node.listen(JointState, topics.OUTCOME, self.on_outcome)
        node.listen(JointState, topics.ACTION_EXECUTED, self.on_executed)

    def restart(self) -> None:
        """Time went back: an episode begins, before those that were heard."""
        self.ended = 0
        self.begin()

    def on_outcome(self, message: JointState) -> None:
        """An episode's last step ends it; said again, it does not end the next one."""
        stamp = nanoseconds(message.header.stamp)
        try:
            outcome = Outcome.from_vector(vector_from(message, OUTCOME_NAMES, "outcome"))
        except SpaceError as error:
            self.node.refuse("outcome", error)
            return
        if outcome.done and stamp > self.ended:
            self.ended = stamp
            self.begin()

    def on_executed(self, message: JointState) -> None:
        """What was executed counts, whatever was answered."""
        stamp = nanoseconds(message.header.stamp)
        try:
            action = check_action(vector_from(message, ACTION_NAMES, "executed action"))
        except SpaceError as error:
            self.node.refuse("executed action", error)
            return
        if stamp > self.ended:
            self.executed(stamp, action)
