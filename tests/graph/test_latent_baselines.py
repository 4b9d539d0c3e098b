"""The comparisons whose decoder stands in the graph, through the same launch file as everything else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from graph_tools import Spy, World

from parrot.data.dataset import Dataset
from parrot.nodes import topics
from parrot.prior.weights import save_prior

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small VAE of each kind that has learnt nothing."""
    import torch

    from parrot.baselines.hirl import ConditionalVAE, HIRLConfig
    from parrot.baselines.trajrl import TrajectoryVAE, TrajRLConfig

    folder = tmp_path_factory.mktemp("models")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = {
            "hirl": ConditionalVAE(HIRLConfig(encoder="fast", channels=8, features=16, hidden=16)),
            "trajrl": TrajectoryVAE(TrajRLConfig(hidden=16)),
        }
    for name, model in made.items():
        model.card = {"robot": "xarm6"}
        save_prior(model, folder / f"{name}.safetensors")
    return {name: folder / f"{name}.safetensors" for name in made}


@pytest.mark.parametrize("algo", ["hirl", "trajrl"])
def test_it_fine_tunes_through_the_launch_file(world: World, spy: Spy, models: dict[str, Path], algo: str):
    run = world.folder / "run"
    running = world.launch(
        "sim_finetune.launch.py", f"algo:={algo}", f"prior:={models[algo]}", f"run_dir:={run}", "task:=grasp_can",
        "eval_before:=1", "episodes:=1", "eval_after:=1",
        "changes:=start_steps=10; start_successes=0; batch_size=8; features=16; critics=2",
    )  # fmt: skip
    spy.wait(lambda: running.process.poll() is not None, 240, f"the end of the run: {running.output}")
    assert running.wait(1) == 0, running.output
    assert "Traceback" not in running.output
    assert (run / "summary.json").is_file()
    replay = Dataset.open(run / "replay")
    assert len(replay) == 2
    for episode in replay:
        different = len(np.unique(episode.extra["latents"], axis=0))
        assert different == (1 if algo == "trajrl" else len(episode.rewards))
        assert len(np.unique(episode.actions, axis=0)) > 1
    # In open loop the learner says actions itself; else prior_node makes them of its latents.
    assert bool(spy.stamps(topics.LATENT)) == (algo == "hirl")
