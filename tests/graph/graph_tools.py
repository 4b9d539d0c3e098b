"""Real processes on real DDS: starting them, ending them by process id, and looking on from inside the test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, JointState

from parrot.nodes import topics
from parrot.nodes.messages import image_from, image_message, nanoseconds, vector_message
from parrot.spaces import ACTION_NAMES

ROOT = Path(__file__).resolve().parents[2]
START = 40.0
"""Seconds that a node may take to start on a busy machine."""


def wait_for(condition, timeout: float = START, step=lambda: time.sleep(0.05), what: str = "condition"):
    """The condition's value, once it is true."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {timeout:g} s in vain for {what}"
        step()
    return value


class Running:
    """A process whose output goes to a file."""

    def __init__(self, words: list[str], log: Path, env: dict[str, str]) -> None:
        self.log = log
        with open(log, "wb") as file:
            self.process = subprocess.Popen(words, stdout=file, stderr=subprocess.STDOUT, env=env, cwd=log.parent)
        self.pid = self.process.pid

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def family(self) -> list[psutil.Process]:
        """The process and all that it started, with theirs."""
        try:
            me = psutil.Process(self.pid)
            return [me, *me.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def child(self, word: str) -> psutil.Process | None:
        """The descendant with this word in its command line."""
        for process in self.family()[1:]:
            try:
                if any(word in part for part in process.cmdline()):
                    return process
            except psutil.NoSuchProcess:
                continue
        return None

    def wait(self, timeout: float = 60.0) -> int:
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout:g} s:\n{self.output}") from None

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def end(self) -> None:
        """Ends it and all that it started, by their ids."""
        family = self.family()
        for process in family:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        if self.process.poll() is None:
            self.process.wait(10)


class World:
    """One ROS domain of its own, and the processes in it."""

    def __init__(self, domain: int, folder: Path) -> None:
        self.domain, self.folder = domain, folder
        self.running: list[Running] = []
        path = os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH", "")) if p)
        self.env = {
            **os.environ,
            "ROS_DOMAIN_ID": str(domain),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "ROS_LOG_DIR": str(folder / "ros_log"),
            "XDG_STATE_HOME": str(folder / "state"),
            "PYTHONPATH": path,
            "OMP_NUM_THREADS": "1",
        }

    def start(self, *words: str) -> Running:
        log = self.folder / f"out{len(self.running)}.txt"
        self.running.append(Running([sys.executable, *words], log, self.env))
        return self.running[-1]

    def node(self, name: str, **parameters: object) -> Running:
        """One of our nodes, without any launch."""
        words = ["--ros-args"]
        for key, value in parameters.items():
            shown = str(value).lower() if isinstance(value, bool) else value
            words += ["-p", f"{key}:={shown}"]
        return self.start("-m", f"parrot.nodes.{name}", *words)

    def launch(self, file: str, *arguments: str) -> Running:
        return self.start("-m", "parrot.cli", "launch", file, *arguments)

    def end(self) -> None:
        for running in self.running:
            running.end()


class Spy:
    """A node inside the test: collects what the loop says, and can say something itself."""

    def __init__(self, domain: int) -> None:
        self.context = Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = rclpy.create_node("spy", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.images: list[tuple[int, np.ndarray]] = []
        self.vectors = {t: [] for t in (topics.LATENT, topics.ACTION, topics.OUTCOME, topics.JOINT_STATES)}
        self.clocks: list[int] = []
        self.status: dict[str, dict[str, str]] = {}
        for topic, found in self.vectors.items():
            self.node.create_subscription(JointState, topic, self._keep(found), topics.LOOP)
        self.node.create_subscription(Image, topics.IMAGE, self._image, topics.LOOP)
        self.node.create_subscription(
            Clock, topics.CLOCK, lambda m: self.clocks.append(nanoseconds(m.clock)), topics.LOOP
        )
        self.node.create_subscription(DiagnosticArray, topics.DIAGNOSTICS, self._status, 10)
        self.publishers = {
            topic: self.node.create_publisher(kind, topic, topics.LOOP)
            for topic, kind in ((topics.IMAGE, Image), (topics.LATENT, JointState), (topics.ACTION, JointState))
        }

    def _keep(self, found):
        return lambda m: found.append((nanoseconds(m.header.stamp), list(m.name), list(m.position)))

    def _image(self, message):
        if (message.width, message.height) == (48, 48):
            self.images.append((nanoseconds(message.header.stamp), image_from(message).copy()))

    def _status(self, message):
        for status in message.status:
            self.status[status.name] = {item.key: item.value for item in status.values}

    def forget(self) -> None:
        """Forgets what was said so far."""
        for found in (self.images, self.clocks, *self.vectors.values()):
            found.clear()
        self.status.clear()

    def matched(self, *topics_said: str) -> bool:
        """Whether somebody besides the spy hears what it says on these topics."""
        return all(self.publishers[topic].get_subscription_count() > 1 for topic in topics_said)

    def stamps(self, topic: str) -> list[int]:
        return [stamp for stamp, *_ in self.vectors[topic]]

    def spin(self, seconds: float = 0.05) -> None:
        """Listens for so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=left)

    def wait(self, condition, timeout: float = START, what: str = "condition"):
        return wait_for(condition, timeout, lambda: self.executor.spin_once(timeout_sec=0.05), what)

    def act(self, stamp: int, values, names=ACTION_NAMES) -> None:
        self.publishers[topics.ACTION].publish(vector_message(names, values, stamp))

    def say_latent(self, stamp: int, values) -> None:
        names = [f"z{i}" for i in range(len(values))]
        self.publishers[topics.LATENT].publish(vector_message(names, values, stamp))

    def show(self, stamp: int, image: np.ndarray) -> None:
        self.publishers[topics.IMAGE].publish(image_message(image, stamp))

    def call(self, kind, name: str, request):
        client = self.node.create_client(kind, name)
        self.wait(client.service_is_ready, what=f"service {name}")
        future = client.call_async(request)
        self.wait(future.done, what=f"answer of {name}")
        return future.result()

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        self.context.shutdown()


def one_line_error(output: str) -> str:
    """The only line of the output that an error of the user's may leave, checked to be one line and no traceback."""
    assert "Traceback" not in output, output
    lines = [line for line in output.splitlines() if "parrot: " in line]
    assert len(lines) == 1, output
    return lines[0]
