"""teleop_node in a real terminal (a pty) and by a gamepad, with the simulator and the recorder."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator

import numpy as np
import pytest
from graph_tools import Spy, World, one_line_error
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import Joy

from parrot.nodes import topics
from parrot.spaces import EPISODE_STEPS

IMAGE = np.zeros((48, 48, 3), np.uint8)


NODE = ("-m", "parrot.nodes.teleop_node", "--ros-args")


class Typist:
    """teleop_node with a terminal of its own, and what it prints there."""

    def __init__(self, world: World, *words: str) -> None:
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        os.set_blocking(self.master, False)
        self.process = subprocess.Popen(
            [sys.executable, *(words or NODE)],
            stdin=self.slave, stdout=self.slave, stderr=self.slave, env=world.env, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        self._said = b""

    @property
    def said(self) -> str:
        try:
            while chunk := os.read(self.master, 65536):
                self._said += chunk
        except (BlockingIOError, OSError):
            pass
        return self._said.decode(errors="replace")

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def raw(self) -> bool:
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.slave)
        os.close(self.master)


@pytest.fixture
def typist(world: World, request: pytest.FixtureRequest) -> Iterator[Typist]:
    found = Typist(world, *getattr(request, "param", ()))
    yield found
    found.end()


def actions(spy: Spy) -> list[tuple[int, list[float]]]:
    return [(stamp, values) for stamp, _, values in spy.vectors[topics.ACTION]]


def heard_by(spy: Spy, typist: Typist) -> None:
    spy.wait(typist.raw, what="the keyboard")
    spy.wait(lambda: spy.matched(topics.IMAGE), what="teleop_node")
    spy.spin(0.3)


def test_demonstrations_by_keyboard_reach_the_bag(world: World, spy: Spy, typist: Typist):
    bag = world.folder / "bag"
    recorder = world.node("recorder_node", bag=bag)
    world.node("sim_node", task="collect", recorded=True, answer_timeout=3600.0)
    spy.wait(lambda: spy.images, what="the first image")
    spy.wait(typist.raw, what="the keyboard")
    spy.wait(lambda: spy.node.count_publishers(topics.ACTION) > 1, what="teleop_node's publisher")
    spy.spin(1.0)
    assert not spy.vectors[topics.ACTION]  # nobody has pressed anything: the simulator waits
    typist.type("w")
    spy.wait(lambda: spy.vectors[topics.OUTCOME] and actions(spy), what="a step")
    assert actions(spy)[0][1] == [1, 0, 0, 0, 0, 0, 0]
    typist.type("\r")  # success
    spy.wait(lambda: "episodes kept: 1 (1 success, 0 failure)" in typist.said, what="the recorder's answer")
    spy.wait(lambda: any(values[3] for _, _, values in spy.vectors[topics.OUTCOME]), what="the reset")
    shown = len(spy.images)
    spy.wait(lambda: len(spy.images) > shown, what="the new scene, again")
    steps = len(spy.vectors[topics.OUTCOME])
    typist.type("r ")
    spy.wait(lambda: len(spy.vectors[topics.OUTCOME]) > steps, what="a step")
    typist.type("\x7f")  # discard
    spy.wait(lambda: "1 discarded" in typist.said, what="the recorder's answer")
    spy.spin(0.5)
    recorder.interrupt()
    assert recorder.wait(10) == 0, recorder.output
    assert "episodes kept: 1 (1 success, 0 failure), 1 discarded" in recorder.output
    with AnyReader([bag]) as reader:
        wanted = [c for c in reader.connections if c.topic == "/marker"]
        found = [reader.deserialize(raw, c.msgtype).data for c, _, raw in reader.messages(wanted)]
    assert found == ["success", "discard"]


@pytest.mark.parametrize("typist", [(*NODE, "-p", "control_hz:=20.0", "-p", "idle:=act")], indirect=True)
def test_each_image_is_answered_once_and_no_faster_than_a_human_can_follow(spy: Spy, typist: Typist):
    heard_by(spy, typist)
    for stamp in range(1, 11):
        spy.show(stamp, IMAGE)
        spy.show(stamp, IMAGE)
        spy.wait(lambda stamp=stamp: stamp in spy.stamps(topics.ACTION), what="an answer")
    assert spy.stamps(topics.ACTION) == list(range(1, 11))
    spy.spin(0.5)
    spy.show(10, IMAGE)  # the simulator says it again: it has not heard the answer
    spy.wait(lambda: spy.stamps(topics.ACTION).count(10) == 2, what="the answer once more")


@pytest.mark.parametrize("typist", [(*NODE, "-p", "control_hz:=20.0", "-p", "lockstep:=false")], indirect=True)
def test_an_arm_gets_actions_at_the_control_rate_and_rest_when_no_key_is_pressed(spy: Spy, typist: Typist):
    heard_by(spy, typist)
    spy.show(5, IMAGE)
    spy.wait(lambda: 5 in spy.stamps(topics.ACTION), what="actions")
    spy.forget()
    spy.spin(2.0)
    assert 30 <= len(actions(spy)) <= 45
    assert all(values == [0] * 7 for _, values in actions(spy))
    typist.type("a")
    spy.wait(lambda: any(values[1] == 1 for _, values in actions(spy)), what="motion")
    spy.wait(lambda: actions(spy)[-1][1] == [0] * 7, what="rest")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_terminal_is_as_before_whatever_ends_the_node(spy: Spy, typist: Typist, number):
    spy.wait(typist.raw, what="the keyboard")
    os.kill(typist.process.pid, number)
    assert typist.process.wait(10) == 0, typist.said
    assert termios.tcgetattr(typist.slave) == typist.before
    assert "Traceback" not in typist.said


def test_ctrl_c_ends_it_with_the_terminal_as_before(spy: Spy, typist: Typist):
    spy.wait(typist.raw, what="the keyboard")
    typist.type("\x03")
    assert typist.process.wait(10) == 0, typist.said
    assert termios.tcgetattr(typist.slave) == typist.before


BROKEN = """
from parrot.nodes import base, teleop_node
class Broken(teleop_node.TeleopNode):
    def on_image(self, message):
        1 / 0
base.run(Broken)
"""


@pytest.mark.parametrize("typist", [["-c", BROKEN]], indirect=True)
def test_a_bug_leaves_the_terminal_as_before_too(spy: Spy, typist: Typist):
    heard_by(spy, typist)
    spy.show(1, IMAGE)
    assert typist.process.wait(10) == 1, typist.said
    assert termios.tcgetattr(typist.slave) == typist.before
    assert "ZeroDivisionError" in typist.said


def test_the_terminal_shows_what_the_camera_sees_where_there_is_room(spy: Spy, typist: Typist):
    heard_by(spy, typist)
    spy.show(1, IMAGE)
    typist.type("w")
    spy.wait(lambda: actions(spy), what="the answer to the first image")  # however late it came, it is not drawn later
    assert "▀" not in typist.said
    fcntl.ioctl(typist.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 100, 0, 0))
    image = IMAGE.copy()
    image[0], image[1] = (200, 10, 20), (30, 200, 40)
    spy.show(2, image)
    spy.wait(lambda: typist.said.count("▀") == 24 * 48, what="the picture")
    assert "\x1b[38;2;200;10;20;48;2;30;200;40m▀" in typist.said


def test_without_a_terminal_the_keyboard_is_an_error_of_one_line(world: World):
    log = world.folder / "out.txt"
    with open(log, "wb") as file:
        words = [sys.executable, "-m", "parrot.nodes.teleop_node"]
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=world.env, timeout=60, check=False
        )
    assert done.returncode == 2
    assert "standard input is no terminal" in one_line_error(log.read_text())


def test_a_gamepad_moves_the_arm_while_its_deadman_button_is_pressed(world: World, spy: Spy):
    running = world.node("teleop_node", input="joy", control_hz=20.0, lockstep=False)
    pad = spy.node.create_publisher(Joy, topics.JOY, 10)
    spy.wait(lambda: pad.get_subscription_count() and spy.vectors[topics.ACTION], what="teleop_node")

    def press(*buttons: int) -> list[float]:
        """What the arm is told once the gamepad says this."""
        for _ in range(8):
            pad.publish(
                Joy(axes=[0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], buttons=[int(b in buttons) for b in range(8)])
            )
            spy.spin(0.05)
        return actions(spy)[-1][1]

    assert press() == [0] * 7
    assert press(4) == [0.5, 0, 0, 0, 0, 0, 0]
    assert press(4, 0) == [0.5, 0, 0, 0, 0, 0, -1]
    assert press() == [0] * 7
    running.interrupt()
    assert running.wait(10) == 0, running.output


def test_the_launch_file_records_what_a_gamepad_does(world: World, spy: Spy):
    bag = world.folder / "bag"
    running = world.launch("teleop.launch.py", "input:=joy", "task:=collect", "episodes:=1", f"bag:={bag}")
    pad = spy.node.create_publisher(Joy, topics.JOY, 10)
    spy.wait(lambda: pad.get_subscription_count() and spy.images, what="the graph")
    deadline = time.monotonic() + 60
    while running.process.poll() is None and time.monotonic() < deadline:
        pad.publish(Joy(axes=[0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0], buttons=[int(b == 4) for b in range(8)]))
        spy.spin(0.05)
    assert running.wait() == 0, running.output
    with AnyReader([bag]) as reader:
        found = [reader.deserialize(raw, c.msgtype) for c, _, raw in reader.messages() if c.topic == "/action"]
    assert len(found) == EPISODE_STEPS
    assert all(message.position.tolist() == [0, 0, 1, 0, 0, 0, 0] for message in found)
    assert "episodes kept: 1 (0 success, 1 failure)" in running.output
