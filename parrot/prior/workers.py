"""Training on several devices: `torchrun --nproc-per-node N .venv/bin/parrot prior train …`.

Each worker computes the gradient of its share of the batch; the mean of all moves every copy of the weights alike.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.distributed as dist

__all__ = ["Workers"]


@dataclass(frozen=True)
class Workers:
    """The processes that train one prior together; by default there is only this one.

    Example:
        >>> Workers().average([], 1.5)
        1.5
    """

    rank: int = 0
    """Number of this one; the first one measures and saves."""
    count: int = 1
    """How many there are."""
    local: int = 0
    """Number of this one on its machine: its GPU."""

    @classmethod
    def join(cls, cuda: bool) -> Workers:
        """Meets the other processes that `torchrun` started, if it did; NCCL with `cuda`, else Gloo."""
        if int(os.environ.get("WORLD_SIZE", "1")) < 2:
            return cls()
        if not dist.is_initialized():
            dist.init_process_group("nccl" if cuda else "gloo")
            # Left to the interpreter's end, Gloo's threads abort a process that has finished its work.
            atexit.register(_leave)
        return cls(dist.get_rank(), dist.get_world_size(), int(os.environ.get("LOCAL_RANK", "0")))

    @property
    def first(self) -> bool:
        """Whether this is the one that measures and saves."""
        return self.rank == 0

    def average(self, parameters: Iterable[torch.nn.Parameter], seconds: float) -> float:
        """Replaces each gradient by its mean over all workers; returns the first worker's `seconds`."""
        if self.count == 1:
            return seconds
        gradients = [p.grad for p in parameters if p.grad is not None]
        clock = torch.tensor([seconds if self.first else 0.0], dtype=torch.float64)
        # One message for all: the time travels as two floats, since half of its digits would be lost in one.
        coarse = clock.floor()
        extra = torch.cat([coarse, clock - coarse]).to(gradients[0]) * self.count
        flat = torch.cat([*(g.reshape(-1) for g in gradients), extra])
        dist.all_reduce(flat)
        flat /= self.count
        at = 0
        for gradient in gradients:
            gradient.copy_(flat[at : at + gradient.numel()].view_as(gradient))
            at += gradient.numel()
        return float(flat[at].double() + flat[at + 1].double())


def _leave() -> None:
    """Ends the group, unless somebody has."""
    if dist.is_initialized():
        dist.destroy_process_group()
