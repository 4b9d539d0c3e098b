"""The emulated camera's driver, a process of its own: one that falls behind shows the present, not the past."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict

from graph_tools import Spy, World
from sensor_msgs.msg import Image

from parrot.nodes import topics
from parrot.nodes.messages import nanoseconds
from parrot.sim.config import load_robot, load_scene
from parrot.sim.emulated import EmulatedArm

ASKED = 400
"""More lines than a pipe holds, which would block whoever asks."""


def test_a_camera_that_falls_behind_leaves_pictures_out(world: World, spy: Spy):
    robot = load_robot("emulated")
    arm = EmulatedArm("grasp_can", robot, load_scene(), 0)
    shown = asdict(arm.snapshot())
    arm.close()
    stamps: list[int] = []
    topic = robot.camera.topic
    spy.node.create_subscription(Image, topic, lambda m: stamps.append(nanoseconds(m.header.stamp)), topics.SENSOR)
    words = [sys.executable, "-m", "parrot.nodes.emulated_camera_node", "--ros-args", "-p", "camera_latency:=0.2"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, env=world.env) as camera:
        try:
            spy.wait(lambda: spy.node.count_publishers(topic), what="the camera")

            def ask(stamp: int) -> None:
                camera.stdin.write(json.dumps({"stamp": stamp, "frozen": False, "shown": shown}).encode() + b"\n")
                camera.stdin.flush()

            def heard(stamp: int) -> bool:
                if stamp not in stamps:
                    ask(stamp)
                return stamp in stamps

            spy.wait(lambda: heard(1), what="a first picture")
            for stamp in range(2, ASKED + 2):
                ask(stamp)
            spy.wait(lambda: ASKED + 1 in stamps, what="the newest picture")
            assert stamps == sorted(stamps)
            assert len(set(stamps)) < ASKED / 4
            camera.stdin.close()
            assert camera.wait(20) == 0
        finally:
            camera.kill()
