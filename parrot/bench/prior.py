"""The prior: a training step and the decoding of one action, beside the same architecture on zuko."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from parrot.bench.measure import Latency, Row, Work, alternate, seconds_at_best, seconds_each
from parrot.data.dataset import Dataset
from parrot.data.episode import Episode
from parrot.data.manifest import Manifest
from parrot.data.writer import EpisodeWriter
from parrot.prior.control import controller_of
from parrot.prior.encoder import native_bf16
from parrot.prior.flow import FlowPrior
from parrot.prior.presets import PriorConfig, preset
from parrot.prior.train import Trainer
from parrot.spaces import ACTION_DIM, EPISODE_STEPS, IMAGE_SHAPE

__all__ = ["decoding", "training"]

STEPS = {"cpu": 10, "cuda": 200}
"""Gradient steps in a run."""

DECODINGS = 300
"""Actions in a run."""

EPISODES = 60
"""Episodes of noise: how long a step takes does not depend on what is in the picture."""


def noise_dataset(path: Path, episodes: int, seed: int) -> Dataset:
    """A dataset of that many episodes, as large as real ones, filled with noise."""
    rng = np.random.default_rng(seed)
    manifest = Manifest(kind="collect", robot="xarm6", renderer="noise", seed=seed)
    with EpisodeWriter(path, manifest, sync=False) as writer:
        for number in range(episodes):
            images = rng.integers(0, 256, (EPISODE_STEPS, *IMAGE_SHAPE), np.uint8)
            actions = rng.uniform(-1.0, 1.0, (EPISODE_STEPS, ACTION_DIM)).astype(np.float32)
            rewards = np.zeros(EPISODE_STEPS, np.float32)
            writer.append(Episode(images, actions, rewards, task="noise", success=True, seed=number))
    return Dataset.open(path)


def training(runs: int, seed: int, threads: int) -> Row:
    """A gradient step of preset `paper`, batch 256; on a GPU, if there is one, with what draws its batch.

    The peer has its batch at hand, as has ours on a processor, where a thread draws it.
    """
    from parrot.bench.zuko_peer import ZukoPrior

    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    with tempfile.TemporaryDirectory() as folder:
        config = replace(preset("paper"), seed=seed)
        trainer = Trainer(noise_dataset(Path(folder, "data"), EPISODES, seed), config, Path(folder, "out"))
        peer = ZukoPrior(flow_config("paper")).to(trainer.device)
        optimizer = torch.optim.Adam(peer.parameters(), lr=config.lr)
        batch = trainer.batches.at(0).to(trainer.device)

        device, steps = trainer.device, STEPS[trainer.device.type]

        def ours() -> None:
            trainer.advance() if device.type == "cuda" else trainer.update(batch)

        def theirs() -> None:
            loss = -peer.log_prob(batch.action, batch.image).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        with FlopCounterMode(display=False) as counter:
            trainer.update(batch)
        kind = torch.bfloat16 if native_bf16(device) else torch.float32
        works = {
            "ours": lambda: seconds_each(ours, steps, device), "theirs": lambda: seconds_each(theirs, steps, device),
            "floor": lambda: seconds_at_best(counter.get_total_flops(), device, kind),
        }  # fmt: skip
        took = alternate(works, runs)
    return Row(
        workload="prior: training step, preset paper, batch 256", unit="ms a step", ours=took["ours"],
        peer="zuko, encoder called in each coupling", theirs=took["theirs"], goal=4.0,
        floor=f"its arithmetic at the speed of a large {kind} product".replace("torch.", ""), least=took["floor"],
        runs=runs, seed=seed, note=_where(device, threads),
    )  # fmt: skip


def _where(device: torch.device, threads: int) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {threads} threads"


def flow_config(name: str) -> PriorConfig:
    """The architecture of the flow in that preset."""
    model = preset(name).model
    assert isinstance(model, PriorConfig)
    return model


def decoding(runs: int, seed: int, kind: str = "paper") -> Row:
    """One action from one image and one latent, as a control loop asks for it."""
    from parrot.bench.zuko_peer import ZukoPrior

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    config, rng = flow_config(kind), np.random.default_rng(seed)
    prior = FlowPrior(config).eval()
    controller, peer = controller_of(prior), ZukoPrior(config).eval()
    image, z = rng.integers(0, 256, IMAGE_SHAPE, np.uint8), rng.standard_normal(ACTION_DIM).astype(np.float32)

    @torch.inference_mode()
    def theirs() -> None:
        pixels = torch.from_numpy(image[None]).permute(0, 3, 1, 2)
        peer.decode(torch.from_numpy(z[None]), pixels)

    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        prior.decode(torch.from_numpy(z[None]), torch.from_numpy(image[None]).permute(0, 3, 1, 2))
    mine = Latency(lambda: controller.act(z, controller.look(image)), DECODINGS)
    other = Latency(theirs, DECODINGS)
    seen = controller.look(image)
    late = Latency(lambda: controller.act(z, seen), DECODINGS)
    cpu = torch.device("cpu")
    works: dict[str, Work] = {
        "ours": mine, "theirs": other, "late": late,
        "floor": lambda: seconds_at_best(counter.get_total_flops(), cpu, torch.float32),
    }  # fmt: skip
    took = alternate(works, runs)
    return Row(
        workload=f"prior: one action from image and latent, preset {kind}", unit="ms an action", ours=took["ours"],
        peer="zuko, encoder called in each coupling", theirs=took["theirs"], goal=3.0,
        floor="its arithmetic at the speed of a large float32 product", least=took["floor"], runs=runs, seed=seed,
        note=f"ours {mine}; from latent to action alone {late}; zuko {other}",
    )  # fmt: skip
