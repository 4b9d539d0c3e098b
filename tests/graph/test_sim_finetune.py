"""The whole graph of sim_finetune.launch.py through `parrot launch`: real processes, real DDS, a prior, a learner."""

from __future__ import annotations

import csv
import json
import os
import time
from pathlib import Path

import psutil
import pytest
from graph_tools import Running, Spy, World, one_line_error, wait_for
from rosbags.highlevel import AnyReader
from std_srvs.srv import Trigger

from parrot.nodes import topics
from parrot.spaces import ACTION_NAMES, OUTCOME_NAMES

pytestmark = pytest.mark.timeout(300)  # a minute on two idle cores, all together

LONG = ("eval_before:=1000", "minutes:=30", "episodes:=1000")
"""A run that goes on until it is ended."""


def finetune(world: World, prior_file: Path, *arguments: str) -> Running:
    own = ("task:=grasp_can", f"prior:={prior_file}", f"run_dir:={world.folder / 'run'}")
    return world.launch("sim_finetune.launch.py", *own, *arguments)


def rows(run: Path) -> list[list[str]]:
    path = run / "episodes.csv"
    return list(csv.reader(path.read_text().splitlines()))[1:] if path.is_file() else []


def wait_for_rows(running: Running, run: Path, count: int) -> None:
    def there() -> bool:
        assert running.process.poll() is None, running.output
        return len(rows(run)) >= count

    wait_for(there, 90, what=f"{count} episodes; so far: {running.output}")


def ended_within(processes: list[psutil.Process], seconds: float) -> None:
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    assert not [p for p in alive if p.status() != psutil.STATUS_ZOMBIE], [p.cmdline() for p in alive]


def test_a_run_to_its_end_in_lockstep_and_recorded(world: World, prior_file: Path, spy: Spy):
    running = finetune(world, prior_file, "eval_before:=2", "episodes:=1", "eval_after:=1", "record:=true")
    deadline = time.monotonic() + 200
    while running.process.poll() is None and time.monotonic() < deadline:
        spy.spin(0.2)
    assert running.wait(1) == 0, running.output

    # The run.
    run = world.folder / "run"
    phases = [row[1] for row in rows(run)]
    assert phases == ["before", "before", "train", "after"]
    assert "success" in json.dumps(json.loads((run / "summary.json").read_text()))
    assert "Traceback" not in running.output, running.output

    # What was said, as the bag has it: every image has its latent, action and outcome, in this order.
    bag = world.folder / "run_bag"
    said: dict[str, list] = {}
    with AnyReader([bag]) as reader:
        for connection, _, raw in reader.messages():
            message = reader.deserialize(raw, connection.msgtype)
            stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
            said.setdefault(connection.topic, []).append((stamp, message))
    steps = sum(int(row[6]) for row in rows(run))
    outcomes = dict(said["/outcome"])
    assert len(said["/outcome"]) == len(outcomes) == steps
    images, latents, actions = (dict(said[f"/{t}"]) for t in (topics.IMAGE, topics.LATENT, topics.ACTION))
    assert set(outcomes) <= set(images) & set(latents) & set(actions)
    assert len(images) <= steps + 1
    assert list(latents) == sorted(latents)
    assert list(outcomes) == sorted(outcomes)
    for stamp, outcome in outcomes.items():
        assert tuple(outcome.name) == OUTCOME_NAMES
        assert tuple(actions[stamp].name) == ACTION_NAMES
        assert latents[stamp].name == [f"z{i}" for i in range(7)]
        assert (images[stamp].encoding, images[stamp].width, images[stamp].height) == ("rgb8", 48, 48)
    ends = [bool(o.position[2] or o.position[3]) for o in outcomes.values()]
    assert sum(ends) == 4

    # What the spy heard, live, tells the same.
    heard = {t: spy.stamps(t) for t in (topics.LATENT, topics.ACTION, topics.OUTCOME)}
    assert set(heard[topics.OUTCOME]) <= set(outcomes)
    for stamp in heard[topics.OUTCOME]:
        assert stamp in images


def test_ctrl_c_saves_and_the_same_folder_goes_on_until_a_node_is_killed(world: World, prior_file: Path):
    run = world.folder / "run"
    first = finetune(world, prior_file, *LONG)
    wait_for_rows(first, run, 2)
    family = first.family()
    assert any("parrot.rl.learner" in " ".join(p.cmdline()) for p in family)
    began = time.monotonic()
    first.interrupt()
    assert first.wait(10) == 130, first.output
    ended_within(family, 1)
    # On a machine that starves all of them, what matters is that they do end.
    assert time.monotonic() - began < (5 if os.getloadavg()[0] < 2 * (os.cpu_count() or 1) else 10)
    assert "Traceback" not in first.output, first.output
    before = rows(run)
    assert len(before) >= 2

    # A second run in a folder that is in use, and the resumed one going on.
    second = finetune(world, prior_file, *LONG)
    wait_for_rows(second, run, len(before) + 2)
    intruder = world.node("rl_node", run_dir=run, task="grasp_can", prior=prior_file, eval_before=1000)
    assert intruder.wait(60) == 6
    assert "in use" in one_line_error(intruder.output)
    assert rows(run)[: len(before)] == before
    assert float(rows(run)[len(before)][3]) > float(before[-1][3])  # the clock of the run goes on, too

    # One killed node.
    family = second.family()
    prior = second.child("prior_node")
    prior.kill()
    assert second.wait(10) == 128 + 9, second.output
    ended_within(family, 1)
    assert "prior_node-2: was killed by SIGKILL" in " ".join(second.output.split())
    assert "the same run_dir goes on" in second.output
    assert len(rows(run)) >= len(before) + 2


def test_raw_actions_need_no_prior(world: World, spy: Spy):
    running = world.launch(
        "sim_finetune.launch.py", "algo:=sac", f"run_dir:={world.folder / 'run'}",
        "eval_before:=1", "episodes:=1", "eval_after:=0",
    )  # fmt: skip
    wait_for(lambda: running.child("rl_node"), what="rl_node")
    assert running.child("prior_node") is None
    while running.process.poll() is None:
        spy.spin(0.2)
    assert running.wait(1) == 0, running.output
    assert len(rows(world.folder / "run")) == 2
    assert not spy.stamps(topics.LATENT)


def test_the_nodes_die_with_their_launcher_and_the_run_is_saved(world: World, prior_file: Path, spy: Spy):
    running = finetune(world, prior_file, *LONG)
    run = world.folder / "run"
    wait_for_rows(running, run, 1)
    saved = spy.call(Trigger, "save", Trigger.Request())
    assert saved.success, saved.message
    family = running.family()
    running.process.kill()
    ended_within(family, 6)
    count = len(rows(run))
    assert count >= 1
    assert len(list((run / "checkpoint").iterdir())) > 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("task:=grasp_moon",), 2, "grasp_moon"),
        (("prior:=nowhere.safetensors",), 5, "nowhere.safetensors"),
        (("changes:=n_step=many",), 2, "n_step"),
        (("params:=nowhere.yaml",), 2, "nowhere.yaml"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line_and_an_exit_code(world: World, prior_file: Path, arguments, code, words):
    running = finetune(world, prior_file, *arguments)
    assert running.wait(60) == code, running.output
    assert words in one_line_error(running.output)


def test_a_foreign_file_as_prior_is_named(world: World, tmp_path: Path):
    foreign = tmp_path / "photo.safetensors"
    foreign.write_bytes(os.urandom(1000))
    running = world.node("prior_node", prior=foreign)
    assert running.wait(60) == 5, running.output
    assert "photo.safetensors" in one_line_error(running.output)


def test_without_a_simulator_the_learner_gives_up_and_says_so(world: World, prior_file: Path):
    running = world.node("rl_node", run_dir=world.folder / "run", prior=prior_file, start_timeout=1.0)
    assert running.wait(60) == 7, running.output
    assert "no camera/image" in one_line_error(running.output)


def test_a_learner_whose_prior_is_silent_gives_up_and_saves(world: World, prior_file: Path):
    world.node("sim_node", task="grasp_can", republish_period=0.2)
    running = world.node("rl_node", run_dir=world.folder / "run", prior=prior_file, answer_timeout=2.0)
    assert running.wait(90) == 7, running.output
    assert "has prior_node died?" in one_line_error(running.output)
    assert (world.folder / "run" / "episodes.csv").is_file()
