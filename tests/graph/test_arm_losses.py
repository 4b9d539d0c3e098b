"""Losses on the arm: recorder, learner and rl_node killed at random, clock, camera and disk: no episode is lost.

The graph is that of real_finetune.launch.py with a recorder, on the emulated arm, node by node, so that one of them can
be killed and started again while the others go on.

    PARROT_KILLS=50 python -m pytest tests/graph/test_arm_losses.py -s --timeout 3600

kills 50 times and writes what came of each to results/arm_losses.csv.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import pytest
import yaml
from arm_tools import ArmSpy
from bag_tools import claimed, episodes
from graph_tools import ROOT, Running, World, one_line_error, wait_for
from sensor_msgs.msg import Image, JointState

from parrot.data.dataset import Dataset
from parrot.data.rosbag.writer import recover_all
from parrot.launching.loading import find, load, parse_arguments, plan
from parrot.launching.supervisor import command
from parrot.nodes import topics
from parrot.nodes.messages import nanoseconds
from parrot.prior import load_prior, save_prior
from parrot.results import write_results
from parrot.rl.checkpoint import load_checkpoint
from parrot.rl.run_folder import read_rows
from parrot.spaces import Outcome

KILLS = int(os.environ.get("PARROT_KILLS", "3"))
CLAIM = 50
"""So many kills make a result."""
SEED = int(os.environ.get("PARROT_KILLS_SEED", "0"))
VICTIMS = ("learner", "rl_node", "recorder_node")
ENDED = ("rl_node", "recorder_node")
"""What a test ends; the arm and the prior go on for the next one."""
PATIENCE = 90.0
"""Seconds that a step of the test may take on a busy machine."""

pytestmark = pytest.mark.timeout(300 + 60 * KILLS)


class Looker(ArmSpy):
    """Hears the loop, and is the operator, who ends most episodes after a few steps."""

    def __init__(self, domain: int, seed: int) -> None:
        super().__init__(domain)
        self.rng = random.Random(seed)
        self.patience = 4
        self.acted: dict[int, set[tuple[float, ...]]] = {}
        """Stamp -> the latents that were said for it since `forget`."""
        self.over: list[int] = []
        """Stamps of the last steps of those episodes of which every step was acted on by the same rl_node."""
        self.certain = 0
        """How many of them were followed by another latent: rl_node records an episode before it acts again."""
        self.whole = False
        self.shown: list[tuple[int, int]] = []
        """Stamps of images, and when they were published, nanoseconds."""
        self.ended: dict[int, int] = {}
        """Stamp -> when its outcome was published first."""
        self.node.create_subscription(JointState, topics.LATENT, self._latent, topics.LOOP)
        self.node.create_subscription(JointState, topics.OUTCOME, self._outcome, topics.LOOP)
        self.node.create_subscription(Image, topics.IMAGE, self._shown, topics.LOOP)
        self.last = -1

    def forget(self) -> None:
        super().forget()
        self.acted.clear()
        self.over.clear()
        self.shown.clear()
        self.ended.clear()
        self.certain, self.whole = 0, False

    def _latent(self, message: JointState) -> None:
        stamp = nanoseconds(message.header.stamp)
        if stamp not in self.acted:
            self.certain = len(self.over)
        self.acted.setdefault(stamp, set()).add(tuple(message.position))

    def _shown(self, message: Image, about: dict[str, int]) -> None:
        self.shown.append((nanoseconds(message.header.stamp), about["source_timestamp"]))

    def said_again(self) -> list[int]:
        """Stamps of images that were published once more when their step was over."""
        return [stamp for stamp, when in self.shown if when > self.ended.get(stamp, when)]

    def _outcome(self, message: JointState, about: dict[str, int]) -> None:
        stamp, outcome = nanoseconds(message.header.stamp), Outcome.from_vector(list(message.position))
        self.ended.setdefault(stamp, about["source_timestamp"])
        if stamp == self.last:  # said again
            return
        self.last = stamp
        self.whole = stamp in self.acted and (self.whole or outcome.step == 0)
        if outcome.done:
            self.over += [stamp] if self.whole else []
            self.whole, self.patience = False, self.rng.randint(2, 6)
        elif outcome.step == self.patience:
            self.say(self.rng.choice(["success", "failure"]))


class Graph:
    """The nodes that the launch file would start, each on its own."""

    def __init__(self, world: World, disk: Path) -> None:
        self.world, self.run, self.bag = world, disk / "run", disk / "bag"
        prior, params = world.folder / "prior.safetensors", world.folder / "params.yaml"
        words = [
            "robot:=emulated", "task:=grasp_can", f"prior:={prior}", f"run_dir:={self.run}", f"bag:={self.bag}",
            "record:=true", "eval_before:=2", "minutes:=600", "episodes:=100000", f"params:={params}",
            "changes:=batch_size=8; start_steps=10; start_successes=1; features=16; hidden=[16,16]; "
            "replay_episodes=2000",
        ]  # fmt: skip
        file = find("real_finetune.launch.py")
        nodes = plan(file, load(file), parse_arguments(words)).nodes
        self.commands = {node.executable: command(node)[1:] for node in nodes}
        self.commands["recorder_node"] += ["--log-level", "recorder_node:=debug"]
        self.running: dict[str, Running] = {}
        self.recorders: list[Running] = []
        self.counted = 0
        """Rows of the run before rl_node was started last."""

    def start(self, *names: str) -> None:
        self.counted = self.rows() if "rl_node" in names else self.counted
        for name in names:
            self.running[name] = self.world.start(*self.commands[name])
        if "recorder_node" in names:
            self.recorders.append(self.running["recorder_node"])
            recording = self.recorders[-1]
            wait_for(lambda: "recording to" in recording.output or recording.process.poll() is not None, PATIENCE)
            assert "recording to" in recording.output, recording.output

    def lives(self, name: str) -> bool:
        return name in self.running and self.running[name].process.poll() is None

    def alive(self) -> None:
        for name, running in self.running.items():
            assert self.lives(name), f"{name} has ended:\n{running.output[-3000:]}"

    def rows(self) -> int:
        return len(read_rows(self.run / "episodes.csv")) if (self.run / "episodes.csv").is_file() else 0

    def learner(self) -> psutil.Process | None:
        return self.running["rl_node"].child("parrot.rl.learner")

    def learners(self) -> list[psutil.Process]:
        """All that write this run's checkpoint: those of a killed rl_node have to end, too."""
        word, found = str(self.run / "checkpoint"), []
        for process in psutil.process_iter():
            with suppress(psutil.NoSuchProcess):
                found += [process] if word in " ".join(process.cmdline()) else []
        return found

    def kept(self) -> dict[Path, tuple[int, int]]:
        """Bag -> the episodes, and those with success, that its recorder has called kept."""
        bags = [(re.search(r"recording to (\S+)", recorder.output), recorder) for recorder in self.recorders]
        return {Path(said[1]): claimed(recorder) for said, recorder in bags if said}


def check_run(graph: Graph) -> None:
    """Nothing in the run's folder is torn: whoever opens it accepts all of it, rightly."""
    rows = read_rows(graph.run / "episodes.csv")
    assert [row.episode for row in rows] == list(range(1, len(rows) + 1))
    replay = Dataset.open(graph.run / "replay")
    assert replay.verify() == []
    assert len(replay) >= len(rows)
    load_checkpoint(graph.run / "checkpoint")  # raises what is damaged


def check_bags(graph: Graph) -> None:
    """What was called kept is in the bags, and all episodes are whole but a bag's first, which began before it.

    The last action of an episode that was given up is missing if it was never executed: nobody answered in time.
    """
    for bag, (kept, successes) in graph.kept().items():
        found = episodes(bag)
        # The recorder keeps no episode of which it had not heard the beginning, so that the bag may hold more.
        assert sum(success for success, *_ in found) >= successes, found
        assert sum(not success for success, *_ in found) >= kept - successes, found
        assert all(whole >= steps - (not success) for success, steps, whole in found[1:]), found


@dataclass(frozen=True)
class Kill:
    """A row of results/arm_losses.csv."""

    kill: int
    moment: float
    """Seconds since the first."""
    killed: str
    episodes_before: int
    """In episodes.csv, when it was dead."""
    episodes_after: int
    """When the run had gone on."""
    lost: int
    """Finished episodes that are not among them."""
    seed: int


@pytest.fixture(scope="module")
def disk(shared_world: World) -> Iterator[Path]:
    """A disk of 100 MB, or a folder where that cannot be had."""
    folder = shared_world.folder / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", str(folder)]
    mounted = subprocess.run(words, capture_output=True, check=False).returncode == 0
    yield folder
    shared_world.end()
    if mounted:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(scope="module")
def started(shared_world: World, disk: Path, prior_file: Path) -> Graph:
    prior = load_prior(prior_file)
    prior.card = {"robot": "emulated"}
    save_prior(prior, shared_world.folder / "prior.safetensors")
    # Checkpoints are written all the time, so that kills meet them.
    params = yaml.safe_load((ROOT / "config" / "nodes.yaml").read_text())
    params["rl_node"]["ros__parameters"]["save_seconds"] = 0.5
    (shared_world.folder / "params.yaml").write_text(yaml.safe_dump(params))
    return Graph(shared_world, disk)


@pytest.fixture(scope="module")
def listener(shared_world: World) -> Iterator[Looker]:
    found = Looker(shared_world.domain, SEED)
    yield found
    found.close()


@pytest.fixture
def looker(listener: Looker) -> Looker:
    listener.forget()
    return listener


@pytest.fixture
def graph(started: Graph, looker: Looker) -> Graph:
    """The graph, all of it running, and the run with one episode more than it had."""
    started.start(*(name for name in started.commands if not started.lives(name)))
    go_on(started, looker, 1)
    return started


def go_on(graph: Graph, looker: Looker, more: int) -> None:
    """Until the run has so many episodes more, and its learner lives."""
    wanted = graph.rows() + more

    def there() -> bool:
        graph.alive()
        return graph.rows() >= wanted and graph.learner() is not None

    looker.wait(there, PATIENCE, f"{more} episodes more")


def check(graph: Graph, looker: Looker) -> None:
    """Ends rl_node and recorder, and compares what they have called safe with what there is."""
    for name in ENDED:
        graph.running[name].interrupt()
        assert graph.running[name].wait(30) == 0, graph.running[name].output
    assert all(len(latents) == 1 for latents in looker.acted.values())
    assert looker.ended and not looker.said_again()
    check_run(graph)
    recover_all(graph.bag)
    check_bags(graph)
    assert sum(kept for kept, _ in graph.kept().values()) > 0


def test_kills_at_random_moments_lose_no_episode_and_the_run_goes_on(graph: Graph, looker: Looker):
    rng = random.Random(SEED)
    began, found = time.monotonic(), []
    for number in range(KILLS):
        what = VICTIMS[number % len(VICTIMS)]
        if what == "learner":
            looker.wait(lambda: graph.learner() is not None, PATIENCE, "a learner")
        looker.spin(rng.uniform(0, 4.0))
        graph.alive()
        if what == "learner":
            victim = graph.learner()
            assert victim is not None
            victim.kill()
        else:
            graph.running[what].kill()
        moment = time.monotonic() - began
        looker.spin(0.2)  # what was said before, the spy may not have heard yet
        before = graph.rows()
        lost = max(0, graph.counted + looker.certain - before)
        if what == "recorder_node" and rng.random() < 0.7:  # once more, while it starts and repairs what is torn
            again = graph.world.start(*graph.commands[what])
            graph.recorders.append(again)
            looker.spin(rng.uniform(0.3, 3.0))
            again.kill()
        if what == "rl_node":
            looker.forget()
        if what != "learner":
            graph.start(what)
        go_on(graph, looker, 1)
        looker.wait(lambda: len(graph.learners()) == 1, PATIENCE, "the end of other learners")
        check_run(graph)
        found.append(Kill(number + 1, round(moment, 2), what, before, graph.rows(), lost, SEED))
        assert lost == 0, found[-1]
    check(graph, looker)
    kept = sum(kept for kept, _ in graph.kept().values())
    print(f"\n{KILLS} kills: {graph.rows()} episodes in the run, {kept} called kept in bags, none lost")
    if KILLS >= CLAIM:
        write_results(ROOT / "results" / "arm_losses.csv", [asdict(kill) for kill in found])


def test_a_jump_of_the_clock_and_a_frozen_camera_lose_nothing(graph: Graph, looker: Looker):
    for fault in ("clock_jump -3600", "clock_jump 3600", "freeze_camera"):
        looker.fault(fault)
        if fault == "freeze_camera":
            looker.wait(lambda: looker.says("stopped") == "camera frozen", PATIENCE, "a stop")
            looker.spin(0.5)
            ended, images = len(looker.over), {stamp for stamp, _ in looker.images}
            looker.spin(1.0)
            assert len(looker.over) == ended
            assert {stamp for stamp, _ in looker.images} == images
            assert not looker.said_again()
            looker.fault("clear")
        go_on(graph, looker, 1)
    check(graph, looker)


def test_a_full_disk_ends_the_run_in_one_line_and_the_same_command_goes_on(graph: Graph, looker: Looker, disk: Path):
    if not disk.is_mount():
        pytest.skip("no right to mount a disk")
    fill(disk / "ballast")
    looker.wait(lambda: not all(map(graph.lives, ENDED)), PATIENCE, "an end")
    first = next(name for name in ENDED if not graph.lives(name))
    assert graph.running[first].wait(1) == 6, graph.running[first].output
    line = one_line_error(graph.running[first].output)
    assert "disk is full" in line or "No space left" in line
    for name in ENDED:  # with the first, the launch file ends the others
        graph.running[name].interrupt()
        assert graph.running[name].wait(30) in (0, 6), graph.running[name].output
        assert "Traceback" not in graph.running[name].output
    (disk / "ballast").unlink()
    looker.forget()
    graph.start(*ENDED)
    go_on(graph, looker, 1)
    check(graph, looker)


def fill(path: Path) -> None:
    """Until the disk is full."""
    with suppress(OSError), open(path, "wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
