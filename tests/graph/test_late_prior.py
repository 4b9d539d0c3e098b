"""The arm stops and its episode ends before anybody has answered an image: the graph goes on once it can."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from arm_tools import ArmSpy, start_arm
from graph_tools import World

from parrot.nodes import topics
from parrot.prior import load_prior, save_prior

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def arm_spy(world: World) -> Iterator[ArmSpy]:
    found = ArmSpy(world.domain)
    yield found
    found.close()


def test_a_prior_that_comes_after_the_arm_was_stopped_is_not_too_late(world: World, arm_spy: ArmSpy, prior_file: Path):
    spy, own = arm_spy, world.folder / "prior.safetensors"
    prior = load_prior(prior_file)
    prior.card = {"robot": "emulated"}
    save_prior(prior, own)
    start_arm(world, scene="none")
    learner = world.node(
        "rl_node", run_dir=world.folder / "run", task="grasp_can", robot="emulated", prior=own, eval_before=1000
    )
    spy.wait(lambda: spy.stamps(topics.LATENT), what=f"a latent; {learner.output}")

    spy.fault("drop_joints")
    spy.wait(lambda: spy.says("stopped") not in ("", "no"), what="a stop")
    spy.fault("clear")
    spy.wait(lambda: any(outcome.truncated for _, outcome in spy.outcomes()), what="the end of the episode")
    unanswered = set(spy.stamps(topics.LATENT))
    spy.wait(lambda: set(spy.stamps(topics.LATENT)) - unanswered, what=f"another latent; {learner.output}")
    assert "its episode is not counted" in learner.output

    server = world.node("prior_node", prior=own, robot="emulated")
    spy.wait(lambda: any(outcome.step > 2 for _, outcome in spy.outcomes()), what=f"steps; {learner.output}")
    assert not unanswered & set(spy.stamps(topics.ACTION))
    spy.wait(lambda: any(outcome.step == 24 for _, outcome in spy.outcomes()), what="an episode")
    assert "waits for its image" not in server.output
    assert learner.process.poll() is None, learner.output
