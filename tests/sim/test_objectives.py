"""Success detectors, on states put together by hand: what counts and what only looks like it."""

import numpy as np
import pytest

from parrot.sim import objectives
from parrot.sim.bullet import pybullet
from parrot.sim.env import ManipulationEnv
from parrot.sim.tasks import TASKS

GRASP = [name for name in TASKS if name.startswith("grasp_")]
PLACE = [name for name in TASKS if name.startswith("place_")]


def put(world, name, point, settle=0):
    """Puts an object's base at a point, upright and at rest."""
    placed = world.objects[name]
    centre = np.array(placed.model.centre_of_mass)
    pybullet.resetBasePositionAndOrientation(placed.body, list(point + centre), [0, 0, 0, 1], world.client)
    pybullet.resetBaseVelocity(placed.body, [0, 0, 0], [0, 0, 0], world.client)
    for _ in range(settle):
        pybullet.stepSimulation(world.client)


def scripted(env, seed):
    """Runs the noise-free script to the end of the episode."""
    env.reset(seed=seed, options={"noise": 0.0})
    rng = np.random.default_rng(0)
    info = {}
    for _ in range(25):
        info = env.step(env.scripted_action(rng))[4]
    return info


@pytest.mark.parametrize("task", GRASP)
def test_lifted_is_high_and_held(task):
    env = ManipulationEnv(task)
    try:
        success = [seed for seed in range(4) if scripted(env, seed)["success"]]
        assert success, "the script should hold the target at the end"
        assert scripted(env, success[0])["success"]
        world, target = env.world, env.scene.target
        held = world.pose(target)[0]
        put(world, target, held + np.array([0.2, 0, 0]))
        pybullet.performCollisionDetection(world.client)
        assert world.pose(target)[0][2] > world.objects[target].start[2] + objectives.LIFT_HEIGHT
        assert not objectives.lifted(world, target), "high in the air, but not held"
        assert not objectives.any_lifted(world)
    finally:
        env.close()


@pytest.mark.parametrize("task", GRASP)
def test_standing_on_the_table_is_not_lifted(task):
    env = ManipulationEnv(task)
    env.reset(seed=0)
    assert not objectives.lifted(env.world, env.scene.target)
    env.close()


@pytest.mark.parametrize("task", PLACE)
def test_placed_is_inside_low_still_and_let_go(task):
    env = ManipulationEnv(task)
    env.reset(seed=0)
    world, target, container = env.world, env.scene.target, env.scene.container
    interior = world.objects[container].model.interior
    origin = world.pose(container)[0]
    inside = origin + np.array([0, 0, interior.floor_height + 0.002])
    assert not objectives.placed_in(world, target, container), "it starts on the table"

    put(world, target, inside, settle=60)
    assert objectives.placed_in(world, target, container)
    assert objectives.met(env.world, env.task, env.scene)

    put(world, target, inside + np.array([0, 0, 0.15]))
    assert not objectives.placed_in(world, target, container), "above it, in the air"

    put(world, target, origin + np.array([0.0, 0.3, 0.0]), settle=5)
    assert not objectives.placed_in(world, target, container), "beside it"

    put(world, target, inside)
    pybullet.resetBaseVelocity(world.objects[target].body, [0.5, 0, 0], [0, 0, 0], world.client)
    assert not objectives.placed_in(world, target, container), "still moving"
    env.close()


def test_placed_while_a_finger_touches_does_not_count():
    env = ManipulationEnv("place_can_in_pan")
    try:
        for seed in range(10):
            env.reset(seed=seed, options={"noise": 0.0})
            rng = np.random.default_rng(0)
            for _ in range(25):
                env.step(env.scripted_action(rng))
                if env.world.held(env.scene.target):
                    assert not objectives.placed_in(env.world, env.scene.target, env.scene.container)
    finally:
        env.close()


def test_the_distractors_do_not_solve_the_task():
    env = ManipulationEnv("place_can_in_pan")
    env.reset(seed=1)
    world = env.world
    other = next(n for n, p in world.objects.items() if p.model.role == "graspable" and n != env.scene.target)
    interior = world.objects[env.scene.container].model.interior
    put(world, other, world.pose(env.scene.container)[0] + [0, 0, interior.floor_height + 0.002], settle=60)
    assert objectives.placed_in(world, other, env.scene.container)
    assert not objectives.met(env.world, env.task, env.scene)
    env.close()
