"""SIGKILL of the recorder at random moments: what it has called kept is in the bag once it is recovered.

    PARROT_KILLS=50 python -m pytest tests/graph/test_recorder_killed.py -s --timeout 900

kills it 50 times and says how many episodes that were.
"""

from __future__ import annotations

import os
import random
import threading
import time
from pathlib import Path

import numpy as np
from bag_tools import claimed, episodes, read
from graph_tools import Running, Spy, World, wait_for
from rclpy.client import Client
from std_srvs.srv import Trigger

from parrot.data.rosbag.writer import recover
from parrot.nodes import topics
from parrot.spaces import EPISODE_STEPS

KILLS = int(os.environ.get("PARROT_KILLS", "6"))
"""Half of them while outcomes end the episodes, half while services do."""

SEED = int(os.environ.get("PARROT_KILLS_SEED", "0"))


def start(world: World, bag: Path, name: str) -> Running:
    running = world.start(
        "-m", "parrot.nodes.recorder_node", "--ros-args", "-p", f"bag:={bag}", "-p", "split_episodes:=3",
        "-r", f"__node:={name}", "--log-level", f"{name}:=debug",
    )  # fmt: skip
    wait_for(lambda: "recording to" in running.output, what="the recorder")
    return running


def test_no_episode_that_was_called_kept_is_lost_when_outcomes_end_them(world: World, spy: Spy):
    rng = random.Random(SEED)
    world.node("sim_node", policy="scripted", task="collect", terminate_on_success=False)
    spy.wait(lambda: spy.vectors[topics.OUTCOME], what="the simulator")
    total = 0
    for round_ in range(KILLS // 2):
        bag = world.folder / f"bag{round_}"
        running = start(world, bag, "recorder_node")
        if round_ == 0:  # however slow the machine is, there is something that could be lost
            wait_for(lambda at=running: claimed(at)[0], what="an episode")
        time.sleep(rng.uniform(0, 2.5))
        running.kill()
        kept, successes = claimed(running)
        recover(bag)
        found = episodes(bag)
        assert len(found) >= kept
        assert sum(success for success, *_ in found[:kept]) == successes
        # The recorder came in the midst of the first; all others are whole.
        assert all(whole == EPISODE_STEPS for *_, whole in found[1:kept]), found
        total += kept
    print(f"\n{KILLS // 2} kills, {total} episodes called kept, none lost")
    assert total > 0


def test_no_episode_that_was_called_kept_is_lost_when_services_end_them(world: World, spy: Spy):
    rng = random.Random(SEED + 1)
    image = np.zeros((48, 48, 3), np.uint8)
    total = stamp = 0

    def mark(client: Client, running: Running) -> bool:
        """Whether the recorder answered before it was killed."""
        future = client.call_async(Trigger.Request())
        while not future.done() and running.process.poll() is None:
            spy.executor.spin_once(timeout_sec=0.05)
        return future.done() and future.result().success

    for round_ in range(KILLS - KILLS // 2):
        bag = world.folder / f"bag{round_}"
        # Each has a name of its own: a dead one's services are there for a while.
        name = f"recorder{round_}"
        running = start(world, bag, name)
        begin, success = (spy.node.create_client(Trigger, f"{name}/{m}") for m in ("start", "success"))
        for client in (begin, success):
            spy.wait(client.service_is_ready, what="the recorder's services")
        timer = threading.Timer(rng.uniform(0, 1.0), running.process.kill)
        timer.start()
        kept = 0
        while mark(begin, running):
            stamp += 1
            spy.show(stamp, image)
            if not mark(success, running):
                break
            kept += 1
        timer.join()
        running.process.wait(10)
        recover(bag)
        found = [message.data for topic, message in read(bag) if topic == "/marker"]
        assert found.count("success") >= kept
        assert found[: 2 * kept] == ["start", "success"] * kept
        total += kept
    print(f"\n{KILLS - KILLS // 2} kills, {total} episodes called kept, none lost")
    assert total > 0
