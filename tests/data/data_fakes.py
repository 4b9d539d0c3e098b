"""Episodes and rollers that take no simulator: what they make depends on the seed alone."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from parrot.data import Episode, Manifest

MANIFEST = Manifest(
    kind="collect", robot="xarm6", renderer="tiny", camera={"fov": 40.0}, action_scale=[0.04] * 3, control_hz=10.0,
    catalogue="abc", task="collect", seed=3,
)  # fmt: skip


def make_episode(seed, steps=5, task="collect_grasp", success=True, extra=None):
    rng = np.random.default_rng(seed)
    return Episode(
        rng.integers(0, 256, (steps, 48, 48, 3), np.uint8), rng.uniform(-1, 1, (steps, 7)).astype(np.float32),
        rng.integers(0, 2, steps).astype(np.float32), task=task, success=success, seed=seed, extra=extra or {},
    )  # fmt: skip


def assert_same(a, b):
    assert (a.task, a.success, a.seed) == (b.task, b.success, b.seed)
    assert a.extra.keys() == b.extra.keys()
    for name in ("images", "actions", "rewards"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    for name in a.extra:
        np.testing.assert_array_equal(a.extra[name], b.extra[name])


class FakeRoller:
    """Keeps about two attempts of three."""

    def __init__(self, pause=0.0):
        self.task = ""
        self.pause = pause

    def rollout(self, seed):
        time.sleep(self.pause)
        self.task = "collect_place" if seed % 2 else "collect_grasp"
        return None if seed % 3 == 0 else make_episode(seed, steps=2, task=self.task)

    def close(self):
        pass


class DyingRoller(FakeRoller):
    """Kills its process at these seeds: the first time only, or always."""

    def __init__(self, marks: Path, seeds, always):
        super().__init__()
        self.marks, self.seeds, self.always = marks, seeds, always

    def rollout(self, seed):
        mark = self.marks / str(seed)
        if seed in self.seeds and (self.always or not mark.exists()):
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().rollout(seed)


class BrokenRoller(FakeRoller):
    def rollout(self, seed):
        raise ValueError(f"bug at {seed}")


@dataclass(frozen=True)
class Make:
    """A picklable factory."""

    kind: type = FakeRoller
    arguments: tuple = ()

    def __call__(self):
        return self.kind(*self.arguments)
