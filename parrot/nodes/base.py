"""What every node of ours shares: parameters, health, an orderly end, and the loop that runs it."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, ClassVar, Generic, NoReturn, TypeVar

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Header

from parrot.errors import ParrotError
from parrot.nodes import topics
from parrot.nodes.health import ERROR, WARN, Health
from parrot.nodes.parameters import declare

__all__ = ["GraphNode", "run"]

Config = TypeVar("Config")

IDLE = 0.1
"""Seconds after which a node with nothing to do looks whether it should end."""

REPEAT = 2.0
"""Seconds between two complaints about the same kind of message."""

RECORDERS = {"recorder_node", "rosbag2_recorder", "deploy_node"}
"""Names of the nodes that must miss nothing: ours that record or count, and `ros2 bag record`'s."""

RECORDER_TIMEOUT = 30.0
"""Seconds that the loop waits for a recorder which was promised."""

LINGER = 1.5
"""Seconds at most that a node which was told to end goes on receiving."""


class GraphNode(Node, Generic[Config]):
    """A node of the graph. Subclasses name themselves and the dataclass of their parameters."""

    NAME: ClassVar[str]
    CONFIG: ClassVar[type]

    def __init__(self) -> None:
        super().__init__(self.NAME)
        self.config: Config = self.CONFIG(**declare(self, self.CONFIG))
        self.health = Health()
        self.finished = False
        """Set when the node's work is done."""
        self.failure: BaseException | None = None
        """What a callback raised; it ends the node."""
        self._refused_at: dict[str, float] = {}
        self._born, self._recorder_awaited = time.monotonic(), False
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._diagnostics = self.create_publisher(DiagnosticArray, topics.DIAGNOSTICS, 10)
        self.every(1.0, self._report)

    def every(self, seconds: float, callback: Callable[[], None]) -> None:
        """Calls back in real time, whatever the simulated clock does."""
        self.create_timer(seconds, self.guarded(callback), clock=self._steady)

    def listen(self, kind: type, topic: str, callback: Callable[[Any], None], **options: Any) -> None:
        """Subscribes with the loop's quality of service."""
        self.create_subscription(kind, topic, self.guarded(callback), options.pop("qos", topics.LOOP), **options)

    def guarded(self, callback: Callable[..., Any]) -> Callable[..., Any]:
        """The callback, whose exceptions end the node in `run`, with their type, rather than inside the executor."""

        def call(*arguments: Any) -> Any:
            if self.failure is not None or self.finished:
                return arguments[1] if len(arguments) > 1 else None
            try:
                return callback(*arguments)
            except Exception as error:
                self.failure = error
                return arguments[1] if len(arguments) > 1 else None

        return call

    def refuse(self, what: str, error: ParrotError) -> None:
        """Counts and reports a message that cannot be used: at once, and then now and again while it goes on."""
        count = self.health.count(f"{what} refused")
        self.health.trouble(ERROR, str(error))
        now = time.monotonic()
        if now - self._refused_at.get(what, -REPEAT) >= REPEAT:
            self._refused_at[what] = now
            self.get_logger().error(f"{what} refused ({count} so far): {error}")

    def recorder_hears(self, *publishers: Publisher) -> bool:
        """Whether a recorder receives what these publish, if one was promised; after a while we go on without."""
        if not getattr(self.config, "recorded", False) or self._recorder_awaited:
            return True
        for publisher in publishers:
            readers = self.get_subscriptions_info_by_topic(publisher.topic_name)
            # The graph lists a reader before this publisher has found it: what is said until then is not recorded.
            found = {info.node_name for info in readers} & RECORDERS
            if not found or publisher.get_subscription_count() < len(readers):
                break
        else:
            self._recorder_awaited = True
            return True
        if time.monotonic() - self._born < RECORDER_TIMEOUT:
            return False
        self._recorder_awaited = True
        self.warn(f"no recorder has come within {RECORDER_TIMEOUT:g} s; going on without")
        return True

    def warn(self, message: str) -> None:
        """Says something loudly."""
        self.health.trouble(WARN, message)
        self.get_logger().warning(message)

    def work(self) -> bool:
        """What the node does of its own accord; whether there is more to do at once."""
        return False

    def settled(self) -> bool:
        """Whether the node, told to end, has nothing left to receive."""
        return True

    def close(self) -> None:
        """Saves and frees what the node holds. Called once, at the end, whatever ended the node."""

    def _report(self) -> None:
        level, message = self.health.level()
        values = [KeyValue(key=key, value=value) for key, value in self.health.values().items()]
        status = DiagnosticStatus(
            level=bytes([level]), name=self.get_name(), message=message, hardware_id="parrot", values=values
        )
        header = Header(stamp=self.get_clock().now().to_msg())
        self._diagnostics.publish(DiagnosticArray(header=header, status=[status]))


class Interrupts:
    """SIGINT, SIGTERM and SIGHUP as a wish to end: an exception while a node is being made, noted from then on."""

    def __init__(self) -> None:
        self.asked = False
        self.noting = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)

    def let_through(self) -> None:
        """Takes the first one, if it has come already."""
        # `parrot launch` holds SIGINT back until here, so that a node ends without a traceback even while it imports.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if not self.noting:
            raise KeyboardInterrupt


def fast_executor() -> Executor:
    """The executor with the least overhead that this rclpy has: a three-hop loop takes 0.31 ms, not 0.54."""
    try:
        from rclpy.experimental.events_executor import EventsExecutor
    except ImportError:
        return SingleThreadedExecutor()
    return EventsExecutor()


def run(make: Callable[[], GraphNode[Any]]) -> NoReturn:
    """Makes a node, runs it until its work is done, it fails or it is told to end, and ends the process.

    An error that a user can put right is one line on standard error; any other is a bug and keeps its traceback.
    """
    node: GraphNode[Any] | None = None
    code = 0
    interrupts = Interrupts()
    try:
        try:
            interrupts.let_through()
            rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
            node = make()
        finally:
            interrupts.noting = True
        _spin(node, interrupts)
    except KeyboardInterrupt:
        pass
    except ParrotError as error:
        code = _tell(error)
    finally:
        code = _end(node, code)
        rclpy.try_shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # All is saved and closed. Taking PyTorch apart would cost seconds on a busy machine, when five are all there are.
    os._exit(code)


def _spin(node: GraphNode[Any], interrupts: Interrupts) -> None:
    executor = fast_executor()
    executor.add_node(node)
    try:
        while not (node.finished or node.failure or interrupts.asked):
            busy = node.work()
            executor.spin_once(timeout_sec=0.0 if busy else IDLE)
        deadline = time.monotonic() + LINGER
        while not (node.failure or node.settled()) and time.monotonic() < deadline:
            executor.spin_once(timeout_sec=IDLE)
    finally:
        executor.remove_node(node)
        executor.shutdown()
    if node.failure is not None:
        raise node.failure


def _end(node: GraphNode[Any] | None, code: int) -> int:
    """Closes the node; its exit code, which is that of closing if all went well until then."""
    if node is None:
        return code
    try:
        node.close()
    except ParrotError as error:
        # What ended the node often keeps it from saving, too; one line tells it.
        code = code or _tell(error)
    finally:
        node.destroy_node()
    return code


def _tell(error: ParrotError) -> int:
    print(f"parrot: {error}", file=sys.stderr, flush=True)
    return error.exit_code
