"""The whole graph of real_finetune.launch.py on the emulated arm: a prior, a learner, a recorder, and an arm."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from graph_tools import World
from rosbags.highlevel import AnyReader

from parrot.data.dataset import Dataset
from parrot.nodes import topics
from parrot.prior import load_prior, save_prior
from parrot.spaces import EPISODE_STEPS

pytestmark = pytest.mark.timeout(200)


def stamps_in(bag: Path) -> dict[str, set[int]]:
    """Topic -> the stamps of its messages."""
    said: dict[str, set[int]] = {}
    with AnyReader([bag]) as reader:
        for connection, _, raw in reader.messages():
            stamp = reader.deserialize(raw, connection.msgtype).header.stamp
            said.setdefault(connection.topic, set()).add(stamp.sec * 10**9 + stamp.nanosec)
    return said


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

    said = stamps_in(world.folder / "run_bag")
    outcomes = said[f"/{topics.OUTCOME}"]
    assert len(outcomes) == steps
    for topic in (topics.IMAGE, topics.LATENT, topics.ACTION, topics.JOINT_STATES):
        assert outcomes <= said[f"/{topic}"], topic


def test_scripted_demonstrations_through_the_driver_become_a_dataset(world: World):
    bag, data = world.folder / "bag", world.folder / "data"
    running = world.launch("real_collect.launch.py", "robot:=emulated", "task:=grasp_can", "episodes:=2", f"bag:={bag}")
    assert running.wait(90) == 0, running.output
    said = stamps_in(bag)
    assert len(said[f"/{topics.OUTCOME}"]) == 2 * EPISODE_STEPS
    assert said[f"/{topics.OUTCOME}"] <= said[f"/{topics.IMAGE}"] & said[f"/{topics.ACTION}"]
    converted = world.start("-m", "parrot.cli", "data", "from-bags", str(bag), "--out", str(data), "--keep-failures")
    assert converted.wait(60) == 0, converted.output
    dataset = Dataset.open(data)
    assert len(dataset) == 2
    assert dataset.manifest.robot == "emulated"
