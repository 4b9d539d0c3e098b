"""prior_node on real DDS: image and latent of one moment become its action, in whatever order they come."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from graph_tools import ROOT, Spy, World
from sensor_msgs.msg import Image

from parrot.nodes import topics
from parrot.nodes.messages import time_message
from parrot.prior import load_prior
from parrot.spaces import ACTION_NAMES

IMAGE = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)


@pytest.fixture(scope="module")
def prior(shared_world: World, prior_file):
    """Told of its robot by a YAML's path, as a robot of one's own is."""
    robot = ROOT / "config" / "robots" / "xarm6.yaml"
    return shared_world.node("prior_node", prior=prior_file, robot=robot, image_timeout=0.5)


@pytest.fixture
def joined(prior, shared_spy: Spy) -> Spy:
    shared_spy.wait(lambda: shared_spy.matched(topics.IMAGE, topics.LATENT), what="prior_node")
    shared_spy.wait(lambda: shared_spy.node.count_publishers(topics.ACTION) > 1, what="its publisher")
    shared_spy.spin(0.3)
    return shared_spy


def answer(spy: Spy, stamp: int) -> list[float]:
    spy.wait(lambda: stamp in spy.stamps(topics.ACTION), timeout=10, what="an action")
    _, names, values = next(v for v in spy.vectors[topics.ACTION] if v[0] == stamp)
    assert tuple(names) == ACTION_NAMES
    return values


def test_the_action_is_the_priors_and_carries_the_stamp(joined, prior_file):
    z = np.linspace(-1, 1, 7)
    joined.show(1_000, IMAGE)
    joined.say_latent(1_000, z)
    with torch.inference_mode():
        image = torch.from_numpy(IMAGE.transpose(2, 0, 1).copy())[None]
        latent = torch.from_numpy(z.astype(np.float32))[None]
        expected = load_prior(prior_file).decode(latent, image)[0].clamp(-1, 1)
    assert np.allclose(answer(joined, 1_000), expected, atol=1e-5)


def test_a_latent_that_comes_before_its_image_waits_for_it(joined, prior):
    joined.say_latent(2_000, np.zeros(7))
    joined.wait(lambda: "waits for its image" in prior.output, timeout=10, what="the complaint")
    assert 2_000 not in joined.stamps(topics.ACTION)
    joined.show(2_000, IMAGE)
    answer(joined, 2_000)


def test_a_latent_said_twice_is_answered_twice(joined):
    joined.show(3_000, IMAGE)
    joined.say_latent(3_000, np.zeros(7))
    answer(joined, 3_000)
    joined.say_latent(3_000, np.zeros(7))
    joined.wait(lambda: joined.stamps(topics.ACTION).count(3_000) == 2, timeout=10, what="the second answer")


def test_an_image_of_the_wrong_size_is_refused_by_name(joined, prior):
    message = Image(height=64, width=80, encoding="rgb8", step=240, data=bytes(64 * 240))
    message.header.stamp = time_message(4_000)
    joined.publishers[topics.IMAGE].publish(message)
    joined.say_latent(4_000, np.zeros(7))
    joined.wait(lambda: "image is rgb8 80x64; expected rgb8 48x48" in prior.output, timeout=10, what="the refusal")
    assert 4_000 not in joined.stamps(topics.ACTION)


def test_a_latent_that_is_not_finite_is_refused(joined, prior):
    joined.show(5_000, IMAGE)
    joined.say_latent(5_000, [0, 0, np.nan, 0, 0, 0, 0])
    joined.wait(lambda: "latent is not finite in z2" in prior.output, timeout=10, what="the refusal")
    assert 5_000 not in joined.stamps(topics.ACTION)


def test_a_latent_of_another_length_is_refused(joined, prior):
    joined.show(6_000, IMAGE)
    joined.say_latent(6_000, np.zeros(8))
    joined.wait(
        lambda: int(joined.status.get("prior_node", {}).get("latent refused", 0)) >= 2, timeout=10, what="the refusal"
    )
    assert 6_000 not in joined.stamps(topics.ACTION)
    joined.say_latent(6_000, np.zeros(7))
    answer(joined, 6_000)
