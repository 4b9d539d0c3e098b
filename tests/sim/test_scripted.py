"""The scripted policies: they succeed often enough to be worth keeping, and keep only what succeeded."""

import numpy as np
import pytest

from parrot.errors import ConfigError
from parrot.sim.collect import ScriptedRoller, describe, make_roller
from parrot.sim.env import ManipulationEnv
from parrot.sim.graspability import lift_alone


@pytest.mark.parametrize(("task", "least"), [("collect_grasp", 0.6), ("collect_place", 0.4)])
def test_noisy_scripts_succeed_at_the_promised_rate(task, least):
    roller = ScriptedRoller(task, "xarm6")
    wins = sum(roller.run(seed).success for seed in range(30))
    roller.close()
    assert wins / 30 >= least


def test_the_noise_free_script_lifts_the_novel_objects():
    env = ManipulationEnv()
    rng = np.random.default_rng(0)
    models = env.catalogue.select(split="test", role="graspable")
    assert len({m.category for m in models}) >= 5
    lifts = {m.name: sum(lift_alone(env, m, rng) for _ in range(5)) for m in models}
    env.close()
    assert min(lifts.values()) >= 4, lifts


def test_a_script_that_closed_on_nothing_comes_again():
    env = ManipulationEnv("recover")
    rng, empty, wins = np.random.default_rng(0), 0, 0
    for seed in range(20):
        env.reset(seed=seed)
        if not env.world.arm.closing:
            continue  # this miss caught something and was undone
        empty += 1
        assert not any(env.world.held(name) for name in env.world.objects)
        wins += any(env.step(env.scripted_action(rng))[4]["success"] for _ in range(25))
    env.close()
    assert empty >= 5
    assert wins / empty >= 0.6


def test_only_successful_trajectories_are_kept_and_a_seed_repeats_them():
    roller = make_roller("collect", "xarm6")()
    runs = [roller.run(seed) for seed in range(12)]
    kept = [roller.rollout(seed) for seed in range(12)]
    roller.close()
    assert [run.success for run in runs] == [episode is not None for episode in kept]
    assert any(run.success for run in runs)
    for run, episode in zip(runs, kept, strict=True):
        if episode is not None:
            np.testing.assert_array_equal(run.images, episode.images)
            np.testing.assert_array_equal(run.actions, episode.actions)
            assert episode.rewards[-1] == 1
    assert {run.task for run in runs} == {"collect_grasp", "collect_place"}


def test_noise_has_the_papers_size():
    env = ManipulationEnv("collect_grasp")
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    calm = ManipulationEnv("collect_grasp")
    calm.reset(seed=0, options={"noise": 0.0})
    quiet = calm.scripted_action(rng)
    free = np.abs(quiet) < 0.5
    noise = np.stack([env.scripted_action(rng) for _ in range(400)])[:, free] - quiet[free]
    env.close()
    calm.close()
    assert free.any()
    assert abs(noise.std() - 0.1) < 0.01


def test_novel_objects_never_enter_prior_data():
    with pytest.raises(ConfigError, match="novel"):
        make_roller("grasp_cap", "xarm6")
    assert describe("xarm6", "collect")["object_split"] == "train"
