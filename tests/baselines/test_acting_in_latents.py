"""HIRL acts image by image, TrajRL by one latent for an episode: in a loop, in the run on disk and in the replay."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch

from parrot.baselines.hirl import ConditionalVAE, HIRLConfig
from parrot.baselines.trajrl import TrajectoryVAE, TrajRLConfig
from parrot.data.dataset import Dataset
from parrot.errors import ConfigError, WeightsError
from parrot.prior.weights import load_decoder, load_model, save_prior, shipped_prior
from parrot.rl.algorithms import start_of
from parrot.rl.export import export_policy
from parrot.rl.finetune import FineTuning
from parrot.rl.loop import run_loop
from parrot.rl.policy import load_policy
from parrot.rl.replay import Replay
from parrot.rl.settings import FineTuneConfig, sac_config
from parrot.spaces import ACTION_DIM, IMAGE_SHAPE, Outcome

CHANGES = (
    "batch_size=8", "features=16", "hidden=[16, 16]", "critics=2", "start_steps=10", "start_successes=0", "shift=1",
    "lr_warmup=0", "replay_episodes=64", "synchronous=true", "updates_per_step=1",
)  # fmt: skip


class FirstStepsEnv(gymnasium.Env):
    """Five steps of a picture that changes; each is rewarded by what the arm did, and one succeeds by it."""

    observation_space = gymnasium.spaces.Box(0, 255, IMAGE_SHAPE, np.uint8)
    action_space = gymnasium.spaces.Box(-1, 1, (ACTION_DIM,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self._image(), {}

    def step(self, action):
        self.t += 1
        return self._image(), float(action[0] > 0), False, self.t == 5, {"success": bool(action[0] > 0)}

    def _image(self):
        return self.np_random.integers(0, 256, IMAGE_SHAPE, np.uint8)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """An untrained model of each kind."""
    folder = tmp_path_factory.mktemp("models")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        models = {
            "hirl": ConditionalVAE(HIRLConfig(encoder="fast", channels=8, features=16, hidden=16)),
            "trajrl": TrajectoryVAE(TrajRLConfig(hidden=16)),
        }
    for name, model in models.items():
        model.card = {"robot": "xarm6"}
        save_prior(model, folder / f"{name}.safetensors")
    return {name: folder / f"{name}.safetensors" for name in models}


def config(algo, files, **fields):
    given = {"task": "steps", "episodes": 4, "eval_before": 3, "eval_after": 1, "minutes": 5.0, **fields}
    return FineTuneConfig(algo=algo, prior=str(files[algo]), sac=sac_config("fast", CHANGES), **given)


def test_an_episode_in_open_loop_is_one_latent_and_what_was_decoded_at_its_first_image(files, tmp_path):
    model = load_model(files["trajrl"], TrajectoryVAE)
    with FineTuning(config("trajrl", files), tmp_path) as tuning:
        run_loop(FirstStepsEnv(), tuning)
        assert tuning.done
        status = tuning.status()
    assert status.updates == 7 * 5 - 10  # as many for a step of the arm as every other algorithm
    replay = Dataset.open(tmp_path / "replay")
    chosen = set()
    for episode in [*replay, *Dataset.open(tmp_path / "evaluation")]:
        latents = episode.extra["latents"]
        assert latents.shape == (5, 8)
        assert (latents == latents[0]).all()
        chosen.add(latents[0].tobytes())
        with torch.no_grad():
            plan = model.decode(torch.from_numpy(latents[:1]), torch.zeros(1, 3, 48, 48, dtype=torch.uint8))[0]
        np.testing.assert_allclose(episode.actions, plan[:5].clamp(-1, 1).numpy(), atol=1e-6)
    assert len(chosen) == 8


def test_a_stopped_run_in_open_loop_goes_on_with_one_transition_for_each_episode(files, tmp_path):
    with FineTuning(config("trajrl", files, episodes=50), tmp_path) as tuning:
        with pytest.raises(KeyboardInterrupt):
            run_loop(FirstStepsEnv(), tuning, on_episode=lambda s: _stop_at(s, 2))
        before = _everything(tuning._block.replay)
    with FineTuning(config("trajrl", files, episodes=50), tmp_path) as tuning:
        assert tuning.phase == "train"
        after = _everything(tuning._block.replay)
        assert tuning._block.replay.env_steps == tuning.status().env_steps == 25
    assert before == after
    assert len(after) == 5


def test_an_episode_whose_first_step_was_of_the_plan_before_is_not_learnt_from(files, tmp_path):
    image = np.zeros(IMAGE_SHAPE, np.uint8)
    with FineTuning(config("trajrl", files), tmp_path) as tuning:
        first = tuning.act(image)
        tuning.observe(Outcome(0.0, False, False, False, 0), first)
        tuning.act(image)  # the end of that episode was lost: this is another one's first image
        assert not tuning.begin()
        assert tuning.steps == 0
        tuning.act(image)
        assert tuning.begin()  # a plan of its own


def _stop_at(status, episode):
    if (status.phase, status.episode) == ("train", episode):
        raise KeyboardInterrupt


def _everything(replay):
    """All transitions that can be drawn: their returns and latents."""
    batch = replay.sample(200, np.random.default_rng(0), n_step=3)
    assert (batch.discounts == 0).all()
    return {(float(r), z.tobytes()) for r, z in zip(batch.returns, batch.latents, strict=True)}


def test_one_step_of_the_replay_is_an_episode_with_its_first_image_and_the_sum_of_its_rewards():
    rng = np.random.default_rng(0)
    replay = Replay(4, 2, 0.9)
    images = rng.integers(0, 256, (3, *IMAGE_SHAPE), np.uint8)
    replay.append(
        images, np.ones((3, 2), np.float32), np.array([0, 1, 1], np.float32), success=True, terminated=False,
        one_step=True,
    )  # fmt: skip
    assert (replay.episodes, replay.env_steps, replay.successes) == (1, 3, 1)
    batch = replay.sample(5, rng, n_step=3, success_share=0.5)
    assert (batch.returns == 2).all()
    assert (batch.discounts == 0).all()
    assert (batch.images == images[0]).all()


def test_hirl_acts_in_closed_loop_and_its_policy_goes_into_one_file(files, tmp_path):
    run = tmp_path / "run"
    decoder = load_decoder(files["hirl"])
    with FineTuning(config("hirl", files), run) as tuning:
        run_loop(FirstStepsEnv(), tuning, decoder, lambda _: tuning.save())
    for episode in Dataset.open(run / "replay"):
        latents = episode.extra["latents"]
        assert len({z.tobytes() for z in latents}) == 5
        images = torch.from_numpy(episode.images).permute(0, 3, 1, 2)
        with torch.no_grad():
            made = decoder.decode(torch.from_numpy(latents), images).clamp(-1, 1).numpy()
        np.testing.assert_allclose(episode.actions, made, atol=1e-5)
    export_policy(run, tmp_path / "policy.safetensors")
    policy = load_policy(tmp_path / "policy.safetensors", robot="xarm6")
    assert policy.card.algo == "hirl"
    assert policy.act(np.zeros(IMAGE_SHAPE, np.uint8)).shape == (7,)


def test_what_acts_in_open_loop_is_not_exported_as_if_it_looked_at_each_image(files, tmp_path):
    with FineTuning(config("trajrl", files, episodes=1, eval_before=1), tmp_path / "run") as tuning:
        run_loop(FirstStepsEnv(), tuning)
    with pytest.raises(ConfigError, match="algo trajrl decides on a whole episode at its first image"):
        export_policy(tmp_path / "run", tmp_path / "policy.safetensors")
    assert not (tmp_path / "policy.safetensors").exists()


def test_each_algorithm_asks_for_its_own_kind_of_file(files, tmp_path):
    sac = sac_config("fast")
    for algo in ("hirl", "trajrl"):
        with pytest.raises(WeightsError, match=f"parrot prior train DATASET --kind {algo}"):
            start_of(algo, sac)
        with pytest.raises(WeightsError, match=f"holds a normalizing flow.*--kind {algo}"):
            start_of(algo, sac, shipped_prior())
    with pytest.raises(WeightsError, match=r"holds a conditional VAE.*--kind flow"):
        start_of("parrot", sac, files["hirl"])
    with pytest.raises(WeightsError, match=r"trained on robot 'xarm6', not 'wx250s'"):
        FineTuning(config("trajrl", files, robot="wx250s"), tmp_path)


def test_the_policy_starts_as_the_base_distribution_of_the_vae(files):
    for algo in ("hirl", "trajrl"):
        start = start_of(algo, sac_config("fast"), files[algo])
        assert (start.latent_dim, start.squash) == (8, False)
