"""Whether what was learnt is for this arm: a prior, a policy, a classifier, by their own cards and refusals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from parrot.arm.doctor.finding import Finding, failure, of_error, ok, warning
from parrot.errors import WeightsError
from parrot.sim.config import load_robot

__all__ = ["check_classifier", "check_policy", "check_prior"]

CAMERA = "camera"
"""The renderer of real pictures."""


def check_prior(path: Path, robot: str) -> Iterator[Finding]:
    """Whether a prior loads, was trained on this robot, and its actions and images mean what they mean here.

    Args:
        path: A file that `parrot prior train` wrote.
        robot: Name or YAML file of the robot.
    """
    from parrot.prior import load_prior
    from parrot.rl.embodiment import embodiment_of

    try:
        card = load_prior(path, load_robot(robot).name).card
    except WeightsError as error:
        yield of_error("prior", str(path), error)
        return
    # How its camera is described is up to whoever made the data; pictures tell better (--picture).
    here = replace(embodiment_of(robot, CAMERA), camera=None)
    names = ("robot", "renderer", "action_scale", "control_hz")
    made = replace(here, **{name: card.get(name, getattr(here, name)) for name in names})
    while difference := made.difference(here):
        name, its, ours = difference
        thing, value = name.replace("_", " "), f"the prior's is {its}, here it is {ours}"
        if name == "renderer":
            yield warning("prior", thing, value, "train it on pictures of this camera: parrot data from-bags")
        elif name == "control_hz":
            yield warning("prior", thing, value, "its actions take another time here: set control_hz, or train anew")
        else:
            remedy = "set it in the YAML to the prior's, or train on data of this one (--convert rescales actions)"
            yield failure("prior", thing, value, remedy)
        made = replace(made, **{name: getattr(here, name)})
    yield ok("prior", str(path), f"loads; of {made.robot}, {card.get('episodes', '?')} episodes")


def check_policy(path: Path, robot: str) -> Iterator[Finding]:
    """Whether an exported policy loads and was made for this robot, camera, action scale and control rate."""
    from parrot.rl.policy import load_policy

    try:
        policy = load_policy(path, robot, renderer=CAMERA)
    except WeightsError as error:
        yield of_error("policy", str(path), error)
    else:
        yield ok("policy", str(path), f"loads; {policy.card.algo} for {policy.card.task}")


def check_classifier(path: Path, robot: str) -> Iterator[Finding]:
    """Whether an image classifier of success loads and was made for this robot."""
    from parrot.rl.reward.classifier import RewardClassifier

    try:
        RewardClassifier.load(path, load_robot(robot).name)
    except WeightsError as error:
        yield of_error("reward", str(path), error)
    else:
        yield ok("reward", str(path), "loads, and was made for this robot: reward:=classifier")
