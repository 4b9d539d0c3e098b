"""The whole graph of real_finetune.launch.py on the emulated arm: a prior, a learner, a recorder, and an arm."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from graph_tools import World
from rosbags.highlevel import AnyReader

from parrot.nodes import topics
from parrot.prior import load_prior, save_prior

pytestmark = pytest.mark.timeout(200)


def test_a_run_on_the_emulated_arm_to_its_end_and_recorded(world: World, prior_file: Path):
    prior = load_prior(prior_file)
    prior.card = {"robot": "emulated"}
    save_prior(prior, world.folder / "prior.safetensors")
    run = world.folder / "run"
    running = world.launch(
        "real_finetune.launch.py", "robot:=emulated", "task:=grasp_can", f"prior:={world.folder / 'prior.safetensors'}",
        f"run_dir:={run}", "eval_before:=1", "episodes:=1", "eval_after:=1", "record:=true",
    )  # fmt: skip
    assert running.wait(120) == 0, running.output
    assert "Traceback" not in running.output, running.output
    rows = list(csv.reader((run / "episodes.csv").read_text().splitlines()))[1:]
    assert [row[1] for row in rows] == ["before", "train", "after"]
    steps = sum(int(row[6]) for row in rows)

    said: dict[str, set[int]] = {}
    with AnyReader([world.folder / "run_bag"]) as reader:
        for connection, _, raw in reader.messages():
            stamp = reader.deserialize(raw, connection.msgtype).header.stamp
            said.setdefault(connection.topic, set()).add(stamp.sec * 10**9 + stamp.nanosec)
    outcomes = said[f"/{topics.OUTCOME}"]
    assert len(outcomes) == steps
    for topic in (topics.IMAGE, topics.LATENT, topics.ACTION, topics.JOINT_STATES):
        assert outcomes <= said[f"/{topic}"], topic
