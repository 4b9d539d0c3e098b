"""Each comparison of the paper: trained by the command line, fine-tuned by the launch file, exported as one file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from graph_tools import World

from parrot import cli, load_policy
from parrot.data.episode import Episode
from parrot.data.manifest import Manifest
from parrot.data.writer import EpisodeWriter
from parrot.rl.algorithms import algorithm
from parrot.rl.export import export_policy

pytestmark = pytest.mark.timeout(300)  # some 10 s each on an idle core

SHORT = (
    "eval_before:=1", "episodes:=2", "eval_after:=1",
    "changes:=synchronous=true; start_steps=10; start_successes=0; batch_size=8; updates_per_step=0.1",
)  # fmt: skip


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory):
    """A file of that kind, made by `parrot prior train` on a few random episodes: it has learnt nothing."""
    folder, rng = tmp_path_factory.mktemp("weights"), np.random.default_rng(0)
    manifest = Manifest(kind="collect", robot="xarm6", renderer="pybullet-tiny", camera={}, action_scale={})
    with EpisodeWriter(folder / "data", manifest, sync=False) as writer:
        for seed in range(4):
            images = rng.integers(0, 256, (25, 48, 48, 3), np.uint8)
            actions = rng.uniform(-1, 1, (25, 7)).astype(np.float32)
            writer.append(Episode(images, actions, np.zeros(25, np.float32), task="noise", success=True, seed=seed))

    def make(kind: str) -> Path:
        words = ["--kind", kind, "--out", str(folder / kind), "--steps", "2", "--batch", "8", "--threads", "1"]
        assert cli.main(["prior", "train", str(folder / "data"), *words]) == 0
        return folder / kind / "prior.safetensors"

    return make


@pytest.mark.parametrize("algo", ["bc_sac", "vae_features", "prior_explore"])
def test_it_trains_and_fine_tunes_through_the_launch_file(world: World, weights, prior_file: Path, algo: str):
    kind = algorithm(algo).kind
    file = prior_file if kind == "flow" else weights(kind)
    run = world.folder / "run"
    running = world.launch(
        "sim_finetune.launch.py", "task:=grasp_can", f"algo:={algo}", f"prior:={file}", f"run_dir:={run}",
        "epsilon:=0.3", *SHORT,
    )  # fmt: skip
    assert running.wait(280) == 0, running.output
    assert "Traceback" not in running.output, running.output
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["algo"], summary["episodes_train"], summary["episodes_after"]) == (algo, 2, 1)
    assert summary["updates"] > 0
    assert summary["config"]["epsilon"] == 0.3
    policy = export_policy(run, world.folder / "policy.safetensors")
    image = np.zeros((48, 48, 3), np.uint8)
    other = load_policy(world.folder / "policy.safetensors", robot="xarm6")
    assert (policy.act(image) == other.act(image)).all()
    assert policy.card.algo == algo


@pytest.mark.parametrize(("algo", "kind"), [("bc_sac", "bc"), ("vae_features", "vae")])
def test_without_weights_it_says_which_to_make(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], algo: str, kind: str
):
    assert cli.main(["train", "grasp_can", "--run-dir", str(tmp_path / "run"), "--algo", algo]) != 0
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"parrot prior train DATASET --kind {kind}" in error
