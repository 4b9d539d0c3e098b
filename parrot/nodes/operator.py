"""The person beside the arm, as services and topics: is it done, is the table set, stop, go on.

Who says that the task is done (paper, section 5: a reward of 1 when the objective is met) is the parameter `reward`:
`operator` by service or word; `topic` by a node that publishes `success` all the time, as the emulated arm does;
`classifier` by pictures (`parrot.nodes.judge`). Service, word and teleop_node's marker are heard in either case.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from std_msgs.msg import Bool, String
from std_srvs.srv import SetBool, Trigger

from parrot.errors import SpaceError
from parrot.nodes import topics
from parrot.nodes.base import GraphNode

__all__ = ["WORDS", "Operator"]

NOTED = ("success", "failure", "scene_ready")

WORDS = (*NOTED, "pause", "estop")
"""What the operator says. Letting go of an e-stop takes the service."""

FRESH = 0.5
"""Seconds for which what `success` last said is believed."""


class Obedient(Protocol):
    """What the operator moves: the arm's node."""

    paused: bool
    estopped: bool

    def stop(self) -> None:
        """Stops, and latches."""

    def release(self) -> None:
        """Lets go of the stop."""

    def pause(self, paused: bool) -> None:
        """Holds, or goes on."""

    def restart(self) -> None:
        """Ends the episode, and resets."""


class Operator:
    """What the operator, or whoever stands in for one, has said since last asked; commands are obeyed at once."""

    def __init__(self, node: GraphNode[Any], arm: Obedient, by_topic: bool) -> None:
        """`by_topic`: listen to the topic `success`."""
        self._node, self._arm, self._by_topic = node, arm, by_topic
        self._succeeded = self._failed = self._ready = False
        self._level = (-FRESH, False)
        self._warned_at = 0.0
        for name in NOTED:
            node.create_service(Trigger, name, node.guarded(self._service(name)))
        node.create_service(SetBool, topics.ESTOP, node.guarded(self._on_estop))
        node.create_service(SetBool, "pause", node.guarded(self._on_pause))
        node.create_service(Trigger, "reset", node.guarded(self._on_reset))
        node.listen(Bool, topics.ESTOP, self._on_estop_topic, qos=10)
        node.listen(String, topics.OPERATOR, self._on_word, qos=10)
        node.listen(String, topics.MARKER, self._on_marker)
        if by_topic:
            node.listen(Bool, topics.SUCCESS, self._on_success, qos=10)

    def _service(self, name: str) -> Callable[[Any, Any], Any]:
        def answer(request: Any, response: Any) -> Any:
            self.say(name)
            response.success, response.message = True, f"{name} noted"
            return response

        return answer

    def _on_word(self, message: String) -> None:
        word = message.data.strip()
        if word not in WORDS:
            self._node.refuse("word", SpaceError(f"operator says {word!r}; it may be {', '.join(WORDS)}"))
        elif word in NOTED:
            self.say(word)
        elif word == "estop":
            self._arm.stop()
        else:
            self._arm.pause(not self._arm.paused)

    def _on_estop_topic(self, message: Bool) -> None:
        """True stops; False is not enough to go on."""
        if message.data:
            self._arm.stop()

    def _on_estop(self, request: Any, response: Any) -> Any:
        if request.data:
            self._arm.stop()
        else:
            self._arm.release()
        response.success, response.message = True, "stopped" if self._arm.estopped else "released"
        return response

    def _on_pause(self, request: Any, response: Any) -> Any:
        self._arm.pause(bool(request.data))
        response.success, response.message = True, "paused" if self._arm.paused else "running"
        return response

    def _on_reset(self, request: Any, response: Any) -> Any:
        self._arm.restart()
        response.success, response.message = True, "the episode ends"
        return response

    def _on_marker(self, message: String) -> None:
        """What teleop_node says of an episode to the recorder."""
        if message.data in ("success", "failure"):
            self.say(message.data)

    def _on_success(self, message: Bool) -> None:
        self._level = (time.monotonic(), bool(message.data))

    def say(self, word: str) -> None:
        """Notes a word: success, failure or scene_ready."""
        self._node.health.count(f"operator: {word}")
        self._succeeded |= word == "success"
        self._failed |= word == "failure"
        self._ready |= word == "scene_ready"

    def verdict(self) -> tuple[bool, bool]:
        """Whether the step has met the objective, and whether the operator has given the episode up."""
        succeeded, failed = self._succeeded, self._failed
        self._succeeded = self._failed = False
        now = time.monotonic()
        heard_at, level = self._level
        if self._by_topic and now - heard_at > FRESH:
            if now - self._warned_at > 2.0:
                self._warned_at = now
                self._node.warn(
                    f"nobody says on {topics.SUCCESS} whether the task is done; the steps count as not done"
                )
            level = False
        return (succeeded or level) and not failed, failed

    def ready(self) -> bool:
        """Whether the table has been set since `forget`."""
        return self._ready

    def forget(self) -> None:
        """Forgets what was said: an episode begins, or a reset."""
        self._succeeded = self._failed = self._ready = False
