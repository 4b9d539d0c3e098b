"""A training's state in one safetensors file: weights, their average, the optimizer, and where it stood."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from parrot.durable import write_bytes
from parrot.errors import RunError

__all__ = ["Position", "load_checkpoint", "save_checkpoint"]

FORMAT = "parrot-prior-training-1"


@dataclass(frozen=True)
class Position:
    """Where a training stands."""

    step: int
    """Gradient steps made."""
    seconds: float
    """Seconds spent on them, over all resumed parts."""
    config: dict[str, Any]
    """The `TrainConfig` as a dictionary."""
    data: str
    """Checksum of the dataset."""
    mix: dict[str, Any] = field(default_factory=dict)
    """How several datasets are used together (`Sources.identity`)."""


def save_checkpoint(
    path: Path, position: Position, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer
) -> None:
    """Writes everything that `load_checkpoint` needs, whole or not at all."""
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        tensors |= {f"{name}.{key}": value for key, value in module.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{key}": value for key, value in state.items()}
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    write_bytes(path, save(tensors, metadata={"format": FORMAT, "position": json.dumps(asdict(position))}))


def load_checkpoint(path: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer) -> Position:
    """Puts modules and optimizer into the saved state and tells where it stood.

    Raises:
        RunError: the file is damaged or of another kind of run.
    """
    position = read_position(path)
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    try:
        for name, module in modules.items():
            module.load_state_dict({k[len(name) + 1 :]: v for k, v in tensors.items() if k.startswith(f"{name}.")})
    except RuntimeError as error:
        raise RunError(f"{path}: holds another network ({str(error).splitlines()[0]}); choose another --out") from error
    state: dict[int, dict[str, Tensor]] = {}
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".")
            # Fused optimizers walk through memory: moments must lie as their parameter does (channels last).
            like = parameters[int(index)]
            laid_out = torch.empty_like(like).copy_(value) if value.shape == like.shape else value
            state.setdefault(int(index), {})[key] = laid_out
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return position


def read_position(path: Path) -> Position:
    """Where the training in that file stood.

    Raises:
        RunError: the file is damaged or of another kind of run.
    """
    try:
        with safe_open(path, framework="pt") as file:
            meta = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise RunError(f"{path}: is damaged ({error}); remove it to start again, or choose another --out") from error
    if meta.get("format") != FORMAT:
        raise RunError(f"{path}: is no checkpoint of a prior's training; choose another --out")
    return Position(**json.loads(meta["position"]))
