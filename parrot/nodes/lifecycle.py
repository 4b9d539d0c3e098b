"""A node with ROS 2's managed life cycle: unconfigured, inactive, active. `ros2 lifecycle` moves it, or autostart."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar, cast

from rclpy.lifecycle import LifecycleNodeMixin, LifecycleState, TransitionCallbackReturn

from parrot.errors import ParrotError
from parrot.nodes.base import GraphNode

__all__ = ["ManagedNode"]

Config = TypeVar("Config")


class _Autostart(Protocol):
    autostart: bool


class ManagedNode(LifecycleNodeMixin, GraphNode[Config]):
    """Subclasses say what `configure`, `activate` and `deactivate` mean; the configuration has `autostart`.

    What `configure` makes of publishers, subscriptions, services, clients and timers is destroyed by the transition
    cleanup. What a transition raises ends the node at autostart, with its one line; later the transition fails alone.
    """

    def __init__(self) -> None:
        GraphNode.__init__(self)
        LifecycleNodeMixin.__init__(self)
        self.active = False
        """Whether the node does its work."""
        self._refusal: Exception | None = None
        self._kept: set[Any] = set()

    def autostart(self) -> None:
        """Configures and activates the node, if its parameter says so. To be called when all is made."""
        if not cast(_Autostart, self.config).autostart:
            self.get_logger().info(f"waiting for: ros2 lifecycle set /{self.get_name()} configure")
            return
        for transition in (self.trigger_configure, self.trigger_activate):
            transition()
            if self._refusal is not None:
                raise self._refusal

    def configure(self) -> None:
        """Makes what the node needs."""

    def activate(self) -> None:
        """Begins the work."""

    def deactivate(self) -> None:
        """Ends the work."""

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """As rclpy calls it."""
        self._kept = set(self._entities())
        answer = self._do(self.configure)
        if answer != TransitionCallbackReturn.SUCCESS:
            self._let_go()
        return answer

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """As rclpy calls it."""
        answer = self._do(self.activate)
        self.active = answer == TransitionCallbackReturn.SUCCESS
        return answer

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """As rclpy calls it."""
        self.active = False
        return self._do(self.deactivate)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """As rclpy calls it."""
        return self._do(self._let_go)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """As rclpy calls it; the process ends."""
        self.active = False
        self.finished = True
        return TransitionCallbackReturn.SUCCESS

    def _entities(self) -> list[Any]:
        return [*self.publishers, *self.subscriptions, *self.services, *self.clients, *self.timers]

    def _let_go(self) -> None:
        ways: tuple[tuple[Iterable[Any], Callable[[Any], object]], ...] = (
            (self.publishers, self.destroy_publisher),
            (self.subscriptions, self.destroy_subscription),
            (self.services, self.destroy_service),
            (self.clients, self.destroy_client),
            (self.timers, self.destroy_timer),
        )
        for entities, destroy in ways:
            for entity in [e for e in entities if e not in self._kept]:
                destroy(entity)

    def _do(self, work: Any) -> TransitionCallbackReturn:
        try:
            work()
        except ParrotError as error:
            self._refusal = error
            self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        except Exception as error:
            self._refusal = self.failure = error
            return TransitionCallbackReturn.ERROR
        self._refusal = None
        return TransitionCallbackReturn.SUCCESS
