"""Every test has a ROS domain of its own, so that graphs of tests that run at once do not see each other."""

from __future__ import annotations

import fcntl
import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2, or the extra `ros`")

from graph_tools import Spy, World


@contextmanager
def own_domain() -> Iterator[int]:
    """A ROS_DOMAIN_ID that no other test holds; domains above 101 have no ports to spare on Linux."""
    numbers = list(range(1, 101))
    random.shuffle(numbers)
    for number in numbers:
        handle = os.open(Path(tempfile.gettempdir(), f"parrot-test-domain-{number}.lock"), os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            continue
        yield number
        os.close(handle)
        return
    raise RuntimeError("all ROS domains are in use")


@contextmanager
def local_discovery() -> Iterator[None]:
    """The test's own process, too, must find only this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        yield


@contextmanager
def open_world(folder: Path) -> Iterator[World]:
    with local_discovery(), own_domain() as domain:
        world = World(domain, folder)
        try:
            yield world
        finally:
            world.end()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with open_world(tmp_path_factory.mktemp("world")) as found:
        yield found


@pytest.fixture
def spy(world: World) -> Iterator[Spy]:
    found = Spy(world.domain)
    yield found
    found.close()


@pytest.fixture(scope="module")
def shared_spy(shared_world: World) -> Iterator[Spy]:
    found = Spy(shared_world.domain)
    yield found
    found.close()


@pytest.fixture(scope="session")
def prior_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real prior that has learnt nothing."""
    import torch

    from parrot.prior import FlowPrior, save_prior
    from parrot.prior.presets import PRESETS

    path = tmp_path_factory.mktemp("prior") / "prior.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        prior = FlowPrior(PRESETS["fast"]().model)
    prior.card = {"robot": "xarm6"}
    save_prior(prior, path)
    return path
