"""A human moves the arm: keyboard or gamepad to `action`, and marks episodes."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Annotated, Literal

from rclpy.task import Future
from sensor_msgs.msg import Image, JointState, Joy
from std_msgs.msg import String
from std_srvs.srv import Trigger

from parrot.data.rosbag.verdicts import MARKERS, Marker
from parrot.errors import SpaceError
from parrot.nodes import topics
from parrot.nodes.base import GraphNode, run
from parrot.nodes.gamepad import Gamepad, numbers_in
from parrot.nodes.keyboard import HELP, Keys, keys_in
from parrot.nodes.messages import image_from, nanoseconds, vector_message
from parrot.nodes.parameters import Range
from parrot.nodes.terminal import Terminal, picture, room_for
from parrot.spaces import ACTION_NAMES, IMAGE_SIZE

__all__ = ["TeleopNode", "TeleopNodeConfig", "main"]

KEY_PERIOD = 0.02
"""Seconds between two looks at the keyboard."""

AGAIN = 0.3
"""Seconds after an answer from which on the same image once more means that the answer was not heard."""

RESET_PATIENCE = 3.0
"""Seconds that a reset may take before actions go on without it."""


@dataclass(frozen=True)
class TeleopNodeConfig:
    """Parameters of teleop_node."""

    input: Literal["keyboard", "joy"] = "keyboard"
    """Keys of this terminal, or a gamepad on the topic `joy` (sensor_msgs/Joy)."""
    lockstep: bool = True
    """Answer each image once, as the simulator wants it; else publish at control_hz, as an arm wants it."""
    idle: Literal["wait", "act"] = "wait"
    """In lockstep, while nothing is pressed: let the simulator wait, since episodes are short, or act at rest."""
    control_hz: Annotated[float, Range(0.1, 1000.0)] = 10.0
    """Actions per second; in lockstep, at most."""
    scale: str = "1 1 1 1 1 1"
    """Of dx dy dz droll dpitch dyaw, for a key that is held or a stick at its end; negative: the other way."""
    hold: Annotated[float, Range(0.02, 2.0)] = 0.15
    """Seconds that a key press lasts; a key that is held comes again before."""
    view: bool = True
    """Show what the camera sees in the terminal, where there is room and colour."""
    axes: str = "1 0 4 6 7 3"
    """Gamepad: index of the axis for dx dy dz droll dpitch dyaw, -1 for none."""
    deadzone: Annotated[float, Range(0.0, 0.9)] = 0.1
    """Gamepad: deflection below which a stick is at rest."""
    joy_timeout: Annotated[float, Range(0.05, 60.0)] = 0.5
    """Gamepad: seconds without a message after which everything counts as released."""
    deadman: Annotated[int, Range(0, 63)] = 4
    """Gamepad: the button without which the arm holds."""
    gripper: Annotated[int, Range(-1, 63)] = 0
    """Gamepad: the button that opens and closes the gripper."""
    start: Annotated[int, Range(-1, 63)] = 7
    """Gamepad: the button for the start of an episode, -1 for none."""
    success: Annotated[int, Range(-1, 63)] = 3
    """Gamepad: the button for success, -1 for none."""
    failure: Annotated[int, Range(-1, 63)] = 2
    """Gamepad: the button for failure, -1 for none."""
    discard: Annotated[int, Range(-1, 63)] = 1
    """Gamepad: the button that discards the episode, -1 for none."""
    recorder: str = "recorder_node"
    """Name of the recorder whose services mark episodes; without it the topic `marker` does."""


class TeleopNode(GraphNode[TeleopNodeConfig]):
    """Publishes what the human wants; a marker is shown as the recorder answers it, when the episode is safe."""

    NAME = "teleop_node"
    CONFIG = TeleopNodeConfig

    def __init__(self) -> None:
        super().__init__()
        config = self.config
        scale = numbers_in(config.scale, "scale")
        self.stamp = 0
        self.answered = True
        self.answered_at = 0.0
        self.resetting_since: float | None = None
        self.status = ""
        self.drawn = 0
        self.terminal: Terminal | None = None
        self.actions = self.create_publisher(JointState, topics.ACTION, topics.LOOP)
        self.markers = self.create_publisher(String, topics.MARKER, topics.LOOP)
        self.marking = {m: self.create_client(Trigger, f"{config.recorder}/{m}") for m in MARKERS}
        self.resetting = self.create_client(Trigger, "reset")
        self.listen(Image, topics.IMAGE, self.on_image)
        self.every(1.0 / config.control_hz, self.tick)
        self.hand: Keys | Gamepad
        if config.input == "joy":
            axes = [round(number) for number in numbers_in(config.axes, "axes")]
            markers: dict[Marker, int] = {marker: getattr(config, marker) for marker in MARKERS}
            self.hand = Gamepad(
                axes, scale, config.deadzone, config.deadman, config.gripper, markers, config.joy_timeout
            )
            self.listen(Joy, topics.JOY, self.on_joy)
            self.get_logger().info("gamepad on the topic joy; its deadman button moves the arm")
        else:
            self.hand = Keys(scale, config.hold)
            self.every(KEY_PERIOD, self.read_keys)
            self.terminal = Terminal()

    # What the human does.

    def read_keys(self) -> None:
        """Takes what was typed."""
        assert self.terminal is not None and isinstance(self.hand, Keys)
        if not self.terminal.is_open:
            # Not earlier: from here on, whatever ends the node also calls `close`.
            self.terminal.open()
            print(HELP, flush=True)
        for key in keys_in(self.terminal.read()):
            command = self.hand.press(key, time.monotonic())
            if command == "help":
                self.tell(HELP)
            elif command is not None:
                self.mark(command)
        self.finished = self.finished or self.terminal.ended

    def on_joy(self, message: Joy) -> None:
        """Takes the gamepad's state."""
        assert isinstance(self.hand, Gamepad)
        for marker in self.hand.heard(message.axes, message.buttons, time.monotonic()):
            self.mark(marker)

    def mark(self, marker: Marker) -> None:
        """Marks the episode, and has the simulator begin another."""
        self.hand.release()
        client = self.marking[marker]
        # The marker comes first: the simulator's own end of the episode must not give a verdict before ours.
        self.resetting_since = time.monotonic()
        if client.service_is_ready():
            client.call_async(Trigger.Request()).add_done_callback(self.guarded(self.on_marked))
        else:
            self.markers.publish(String(data=marker))
            self.tell(f"{marker} (on the topic {topics.MARKER}: {self.config.recorder} is not running)")
            self.reset()

    def on_marked(self, future: Future) -> None:
        """The recorder has answered."""
        answer = future.result()
        self.tell(answer.message if answer is not None else "the recorder has gone")
        if answer is not None and answer.success:
            self.reset()
        else:
            self.resetting_since = None

    def reset(self) -> None:
        """A new scene, where there is a simulator; an arm has none."""
        if self.resetting.service_is_ready():
            self.resetting.call_async(Trigger.Request()).add_done_callback(self.guarded(self.on_reset))
        else:
            self.resetting_since = None

    def on_reset(self, future: Future) -> None:
        """The simulator has a new scene."""
        self.resetting_since = None

    # What the arm is told.

    def on_image(self, message: Image) -> None:
        """A new image is to be answered; the same once more, again."""
        stamp, now = nanoseconds(message.header.stamp), time.monotonic()
        if stamp != self.stamp:
            self.stamp, self.answered = stamp, False
            self.draw(message)
        elif self.answered and now - self.answered_at > AGAIN:
            self.answered = False

    def tick(self) -> None:
        """One control step."""
        now = time.monotonic()
        if self.resetting_since is not None:
            if now - self.resetting_since < RESET_PATIENCE:
                return
            self.resetting_since = None
        if self.config.lockstep:
            if self.answered or (self.config.idle == "wait" and not self.hand.active(now)):
                return
            stamp = self.stamp
        else:
            stamp = self.stamp or self.get_clock().now().nanoseconds
        self.actions.publish(vector_message(ACTION_NAMES, self.hand.action(now), stamp))
        self.answered, self.answered_at = True, now
        self.health.count("actions")

    # What the human sees.

    def draw(self, message: Image) -> None:
        """Shows what the camera sees, over the last picture."""
        rows = IMAGE_SIZE // 2 + 2
        if not self.config.view or self.terminal is None or not room_for(rows + HELP.count("\n") + 1, IMAGE_SIZE):
            return
        try:
            lines = [*picture(image_from(message)), f"\x1b[2K{self.status}"]
        except SpaceError:
            return  # a camera of another size: what shows it belongs to whoever runs it
        back = f"\x1b[{self.drawn}A\r" if self.drawn else ""
        sys.stdout.write(back + "\n".join(lines) + "\n")
        sys.stdout.flush()
        self.drawn = len(lines)

    def tell(self, text: str) -> None:
        """Says something, below the picture."""
        if self.terminal is None:
            self.get_logger().info(text)
            return
        self.status = text if "\n" not in text else self.status
        print(text, flush=True)
        self.drawn = 0

    def close(self) -> None:
        """Gives the terminal back."""
        if self.terminal is not None:
            self.terminal.close()


def main() -> None:
    """Runs the node."""
    run(TeleopNode)


if __name__ == "__main__":
    main()
