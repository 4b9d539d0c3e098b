"""The environments: what Gymnasium asks of them, and the same episode for the same seed."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import parrot  # noqa: F401  (registers the environments)
from parrot.errors import ConfigError, SpaceError
from parrot.sim.env import ManipulationEnv
from parrot.sim.objects.catalogue import load_catalogue
from parrot.sim.tasks import TASKS
from parrot.spaces import EPISODE_STEPS

PAPER = [name for name in TASKS if name.startswith(("grasp_", "place_"))]


@pytest.fixture(scope="module")
def env():
    env = ManipulationEnv("grasp_cap")
    yield env
    env.close()


def episode(env, seed):
    image, _ = env.reset(seed=seed)
    images, rewards, rng = [image], [], np.random.default_rng(seed)
    for _ in range(EPISODE_STEPS):
        image, reward, _, truncated, info = env.step(env.scripted_action(rng))
        images.append(image)
        rewards.append(reward)
    assert truncated
    return np.stack(images), rewards, info


def test_there_are_the_papers_eight_tasks():
    assert PAPER == [
        "grasp_can", "grasp_vase", "grasp_cap", "grasp_mug",
        "place_can_in_pan", "place_vase_in_basket", "place_chair_on_checkerboard", "place_cap_on_cube",
    ]  # fmt: skip


@pytest.mark.parametrize("name", PAPER)
def test_gymnasiums_checker_accepts_every_task(name):
    env = gymnasium.make(TASKS[name].gym_id, render_mode="rgb_array")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gymnasium.logger, "min_level", gymnasium.logger.ERROR)
        check_env(env.unwrapped, skip_render_check=False)
    _, info = env.reset(seed=1)
    assert info["success"] is False
    env.close()


@pytest.mark.parametrize("name", ["grasp_cap", "collect"])
def test_same_seed_same_episode_bit_for_bit_whatever_came_before(name):
    env, other = ManipulationEnv(name), ManipulationEnv(name)
    first = episode(env, 7)
    for seed in range(8, 12):
        episode(env, seed)
    again = episode(env, 7)
    fresh = episode(other, 7)
    other.close()
    for run in (again, fresh):
        np.testing.assert_array_equal(run[0], first[0])
        assert run[1] == first[1]
        np.testing.assert_array_equal(run[2]["ee"], first[2]["ee"])
    assert not np.array_equal(episode(env, 9)[0], first[0])
    env.close()


def test_an_episode_ends_after_25_steps_or_with_success_where_asked():
    env = ManipulationEnv("grasp_can", terminate_on_success=True)
    for seed in range(5):
        env.reset(seed=seed, options={"noise": 0.0})
        rng, steps, over = np.random.default_rng(0), 0, False
        while not over:
            _, reward, terminated, truncated, info = env.step(env.scripted_action(rng))
            steps += 1
            over = terminated or truncated
            assert reward == float(info["success"])
            assert terminated == info["success"]
        assert truncated == (steps == EPISODE_STEPS and not terminated)
        if terminated:
            break
    assert terminated
    assert steps < EPISODE_STEPS
    env.close()


def test_an_action_that_is_not_finite_or_too_short_moves_nothing(env):
    env.reset(seed=0)
    before = env.world.arm.tool()
    for bad in (np.full(7, np.nan), np.zeros(6), np.array([0, 0, np.inf, 0, 0, 0, 0])):
        with pytest.raises(SpaceError):
            env.step(bad)
    np.testing.assert_array_equal(env.world.arm.tool(), before)


def test_actions_beyond_the_box_are_clipped_and_the_tool_stays_in_the_workspace(env):
    env.reset(seed=0)
    space = env.world.robot.workspace
    rng = np.random.default_rng(0)
    for _ in range(EPISODE_STEPS):
        env.step(rng.normal(0, 10, 7))
        assert (env.world.arm.position >= space.lower).all()
        assert (env.world.arm.position <= space.upper).all()
        assert np.abs(env.world.arm.rpy[:2]).max() <= space.tilt


def test_scenes_hold_three_objects_of_the_right_split():
    for name, split in (("grasp_mug", "test"), ("place_can_in_pan", "test"), ("collect", "train")):
        env = ManipulationEnv(name)
        for seed in range(4):
            env.reset(seed=seed)
            models = [placed.model for placed in env.world.objects.values()]
            assert len(models) == 3
            assert {model.split for model in models} == {split}
        env.close()


def repainted(name, catalogue, seeds):
    """How many objects of a task's scenes are not in the catalogue's colours, and how many there are."""
    env = ManipulationEnv(name)
    models = [model for seed in range(seeds) if env.reset(seed=seed) for model, *_ in env.scene.objects]
    env.close()
    return sum(model != catalogue[model.name] for model in models), len(models)


def test_objects_to_learn_a_prior_from_come_in_many_colours_those_of_tasks_in_their_own():
    catalogue = load_catalogue()
    painted, of = repainted("collect_place", catalogue, 60)
    assert 0.35 < painted / of < 0.7  # containers more often than the others
    assert repainted("place_can_in_pan", catalogue, 10) == (0, 30)


def test_a_colour_does_not_outlive_its_episode(env):
    def seen(model):
        env.world.place([(model, (0.42, 0.0), 0.0)])
        return env.world.camera.picture(48)

    tray = load_catalogue()["wooden_tray"]
    blue = replace(tray, visuals=tuple(replace(part, rgba=(0.1, 0.1, 1.0, 1.0), texture=None) for part in tray.visuals))
    own, other, again, other_again = seen(tray), seen(blue), seen(tray), seen(blue)
    np.testing.assert_array_equal(own, again)
    np.testing.assert_array_equal(other, other_again)
    floor = other[np.abs(other.astype(int) - own).sum(-1) > 0]
    assert len(floor) > 50
    assert (floor[:, 2] > floor[:, 0]).mean() > 0.9


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"task": "grasp_moon"}, "grasp_moon"),
        ({"robot": "xarm7"}, "xarm7"),
        ({"scene": "kitchen"}, "kitchen"),
        ({"render_mode": "human"}, "human"),
    ],
)
def test_unknown_names_are_named_with_what_to_do(options, named):
    with pytest.raises(ConfigError, match=named) as error:
        ManipulationEnv(**options)
    assert "\n" not in str(error.value)


def test_a_robots_yaml_with_a_wrong_field_is_named(tmp_path):
    path = tmp_path / "arm.yaml"
    path.write_text("name: x\nspeed: 3\n")
    with pytest.raises(ConfigError, match="unknown speed"):
        ManipulationEnv(robot=str(path))


def test_leaving_out_what_the_camera_never_sees_changes_no_pixel():
    whole, cut = ManipulationEnv("collect", hide_unseen=False), ManipulationEnv("collect")
    try:
        for seed in range(4):
            rng = np.random.default_rng(seed)
            images = [env.reset(seed=seed)[0] for env in (whole, cut)]
            for _ in range(25):
                np.testing.assert_array_equal(*images)
                action = rng.uniform(-1, 1, 7) if seed % 2 else whole.scripted_action(rng)
                images = [env.step(action)[0] for env in (whole, cut)]
        triangles = [_triangles(env.world.arm) for env in (whole, cut)]
        assert triangles[1] < triangles[0] / 2
    finally:
        whole.close()
        cut.close()


def _triangles(arm):
    return sum(path.read_text().count("\nf ") for path, _ in arm.visuals())
